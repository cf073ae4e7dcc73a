"""Names of weights in checkpoints of SAGE's released code (``JianHe0628/SAGE``, MIT), and ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from slt_zoo.errors import CheckpointMismatchError, first_few

__all__ = ["NAMES", "from_official", "to_official"]


def _visual(model: str, mapper: str) -> dict[str, str]:
    return {
        f"{model}.conv_2d.resnet.": "net.visual.rows.encoder.",  # torchvision's names, which are timm's
        f"{model}.conv_1d.temporal_conv.0.": "net.visual.tokens.temporal.conv.",
        f"{model}.conv_1d.temporal_conv.1.": "net.visual.tokens.temporal.norm.",
        f"{mapper}.0.norm.": "net.visual.mapper.blocks.0.norm.",
        f"{mapper}.0.fc1.": "net.visual.mapper.blocks.0.linear.",
        f"{mapper}.3.norm.": "net.visual.mapper.blocks.1.norm.",
        f"{mapper}.3.fc1.": "net.visual.mapper.blocks.1.linear.",
        f"{mapper}.6.": "net.visual.mapper.last.",
    }


NAMES: Mapping[str, Mapping[str, str]] = {
    "SAGEPretraining": {
        **_visual("model_images.model", "model_images.vis_lang_proj"),
        "model_images.global_encoder.": "net.context.encoder.",
        "logit_scale_input": "net.scale_ce.log",
        "logit_scale": "net.scale_hs.log",
    },
    "SAGE": {**_visual("backbone", "vis_lang_proj"), "mbart.": "net.seq2seq.mbart."},
}
"""Begin of a name there, begin of the name here, by class (stage)."""

NOT_OURS = {"SAGEPretraining": ("model_images.global_encoder.embed_tokens.",), "SAGE": ()}
"""What the released first stage holds beside: the token embedding of its mBART encoder, which no video passes."""


def from_official(state: Mapping[str, Tensor], stage: str) -> dict[str, Tensor]:
    """Weights by our names.

    Args:
        state: the dict under ``model`` of a released checkpoint.
        stage: ``"SAGEPretraining"`` or ``"SAGE"``.

    Raises:
        CheckpointMismatchError: names that the released code does not have.
    """
    renamed: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, value in state.items():
        if name.startswith(NOT_OURS[stage] or "\0"):
            continue
        there = _longest(name, NAMES[stage])
        if there is None:
            unknown.append(name)
        else:
            renamed[NAMES[stage][there] + name.removeprefix(there)] = value
    if unknown or not renamed:
        other = next(s for s in NAMES if s != stage)
        theirs = sum(_longest(name, NAMES[other]) is not None for name in state)
        raise CheckpointMismatchError(
            f"these are not the weights of {stage} in SAGE's released code",
            found=f"{len(unknown)} names that are not known: {first_few(unknown)}" if unknown else "no weights",
            expected=", ".join(NAMES[stage]),
            todo=f"they look like those of {other}" if theirs > len(renamed) else "pass the dict under 'model'",
        )
    return renamed


def to_official(state: Mapping[str, Tensor], stage: str) -> dict[str, Tensor]:
    """The inverse of `from_official`; the token embedding of the first stage, which we have not, is not made up."""
    theirs = {ours: there for there, ours in NAMES[stage].items()}
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = _longest(name, theirs)
        if ours is None:
            raise CheckpointMismatchError(
                "the released code has no place for these weights",
                found=name,
                expected=", ".join(theirs),
                todo="it has frames, segments, the mapper 'code', a scale for each loss, and no LoRA",
            )
        named[theirs[ours] + name.removeprefix(ours)] = value
    return named


def _longest(name: str, prefixes: Mapping[str, str]) -> str | None:
    """The longest prefix of a name; a whole name, where it does not end in a dot."""
    fits = [p for p in prefixes if (name.startswith(p) if p.endswith(".") else name == p)]
    return max(fits, key=len, default=None)

"""SAGE: sign segments as visual tokens, contrasted with the tokens of a text, then translated.

Low, Sincan, Bowden: "SAGE: Segment-Aware Gloss-Free Encoding for Token-Efficient Sign Language Translation", ICCV 2025
workshops, arXiv 2507.09266. German Sign Language (PHOENIX14T) to German.

Defects of the published code that are mended here, and come back with ``profile="code"``: the softmax of the token
contrast runs over padding; batch norm's statistics see padding; padding is found again by its value (this one does not
come back). What paper and code contradict each other in, and what was chosen, is in ``docs/papers/sage.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from slt_zoo.data.base import SLTDataModule
from slt_zoo.errors import ConfigError, first_few
from slt_zoo.losses import (
    clcl_loss,
    clcl_similarity,
    gather_rows,
    gather_sequences,
)
from slt_zoo.losses.contrastive import Direction
from slt_zoo.metrics.retrieval import retrieval_scores
from slt_zoo.models.sage_module import SAGEModule
from slt_zoo.models.sage_net import ContextEncoder, SAGENet, SAGEPretrainingNet
from slt_zoo.models.sage_text import TextTarget, TextTeacher, teacher_codec
from slt_zoo.models.translator import MBartModule
from slt_zoo.text import TextCodec
from slt_zoo.text.mbart import MBartSizes, sizes_of
from slt_zoo.text.taggers import TaggerName
from slt_zoo.types import (
    Batch,
    Losses,
    Ragged,
    Sample,
    Split,
)

__all__ = ["SAGE", "SAGEPretraining"]


class SAGEPretraining(SAGEModule):
    """Stage 1 of SAGE (arXiv 2507.09266): visual tokens of a clip against the tokens of its text.

    Each text token is what a frozen mBART makes of it: its embedding, against the visual token (L_CE), and its hidden
    state, against the visual token in its context (L_HS). ``beta * L_CE + (1 - beta) * L_HS`` is minimised; what counts
    is whether videos find their texts among all of a split (``dev/v2t_r1``, ``dev/t2v_r1``). A batch of one clip has
    nothing to be told apart from, and a loss of 0. ``dev/loss`` depends on how dev is cut into batches;
    ``dev/contrast``, the loss that weighs most among all clips of the split, does not. Batches that a trainer
    accumulates are contrasted each for itself: for more negatives a larger batch, with ``clips_at_a_time``.

    Args:
        teacher: the frozen text side: the folder or hub name of an mBART, a checkpoint of `TextPretraining`, or sizes
            of a random one.
        vocabulary: sub-words at most, where the teacher is random.
        text_target: ``"pseudo_gloss"``: the content words of the sentence; ``"sentence"``: all of it.
        tagger: what finds content words, see `pseudo_glosses`.
        te_layers: layers of the context encoder TE; 0: there is none, and no L_HS.
        te_heads: its attention heads.
        te_ffn: width of its feed-forward blocks.
        te_activation: of these.
        te_dropout: of its blocks.
        max_positions: most visual tokens of a clip.
        loss: ``"clcl"``: of all pairs of tokens; ``"clip"``: of one vector a side.
        clip_pool: that vector: the ``"mean"`` of the tokens, or the first one (``"cls"``).
        dual_supervision: both losses; False: L_HS alone.
        beta: weight of L_CE.
        alpha: weight of the videos' side within each loss.
        direction: see `clcl_loss`.
        legacy_mask: let padding into the softmaxes, as the released code does.
        temperature: of these softmaxes.
        logit_scale_init: logarithm of the factor of similarities.
        logit_scale_max: its largest value; None: no bound.
        share_scale: one factor for both losses.
        gather_negatives: contrast with the texts of all processes, so that N processes see the batch of one.
        optimizer: SGD with momentum 0.9 at 0.03.
        base: arguments of what both stages share, and of `SLTModule`.
    """

    translates = False

    def __init__(
        self,
        *,
        teacher: str | MBartSizes,
        vocabulary: int = 2000,
        text_target: TextTarget | None = None,
        tagger: TaggerName = "auto",
        te_layers: int = 3,
        te_heads: int = 8,
        te_ffn: int = 4096,
        te_activation: str = "relu",
        te_dropout: float = 0.1,
        max_positions: int = 1024,
        loss: Literal["clcl", "clip"] = "clcl",
        clip_pool: Literal["mean", "cls"] = "mean",
        dual_supervision: bool = True,
        beta: float | None = None,
        alpha: float = 0.5,
        direction: Direction | None = None,
        legacy_mask: bool | None = None,
        temperature: float = 0.07,
        logit_scale_init: float = math.log(1 / 0.07),
        logit_scale_max: float | None = math.log(100),
        share_scale: bool = False,
        gather_negatives: bool = True,
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        if teacher is None:  # from Python nothing else refuses it
            raise ConfigError(
                "SAGEPretraining needs a teacher",
                todo="the folder or hub name of an mBART, a checkpoint of TextPretraining, or sizes of a random one, "
                "which the overlay `tiny` of its recipes has",
            )
        self.source = teacher if isinstance(teacher, str) else sizes_of(teacher)
        self._told_of_accumulation = False
        hp = self.hparams
        if not 0 <= hp["beta"] <= 1 or not 0 <= alpha <= 1 or temperature <= 0 or te_layers < 0:
            raise ConfigError(
                "beta and alpha are in [0, 1], the temperature is positive, te_layers at least 0",
                found=f"beta={hp['beta']}, {alpha=}, {temperature=}, {te_layers=}",
            )
        if not te_layers and not dual_supervision:
            raise ConfigError(
                "without TE there are no hidden states, and dual_supervision=false has nothing else",
                found="te_layers=0, dual_supervision=False",
                todo="te_layers=0 alone trains on embeddings",
            )

    @cached_property
    def teacher(self) -> TextTeacher:
        """The frozen text side."""
        hp = self.hparams
        return TextTeacher(
            self.source,
            self.codecs["text"],
            target=hp["text_target"],
            language=self.facts.language,
            tagger=hp["tagger"],
        )

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """The teacher's vocabulary."""
        texts, language = [s.text for s in samples], samples[0].language
        return {"text": teacher_codec(self.source, texts, language, self.hparams["vocabulary"])}

    def build(self) -> SAGEPretrainingNet:
        """Visual encoder, context encoder, scales."""
        hp = self.hparams
        names = ("te_layers", "te_heads", "te_ffn", "te_activation", "te_dropout", "max_positions")
        context = ContextEncoder(hp["width"], *(hp[name] for name in names)) if hp["te_layers"] else None
        return SAGEPretrainingNet(
            self.visual_encoder(),
            context,
            scale_init=hp["logit_scale_init"],
            scale_max=hp["logit_scale_max"],
            share_scale=hp["share_scale"],
        )

    @property
    def network(self) -> SAGEPretrainingNet:
        """The network, with its type."""
        return cast(SAGEPretrainingNet, self.net)

    def on_fit_start(self) -> None:
        """Make the text side of training and development once; tell what no contrast can be learnt from."""
        super().on_fit_start()
        self.teacher.device = self.device
        data = self.data()
        for split in ("train", "dev"):
            texts = data.manifest(split).column("text")
            self.teacher.prepare(texts)
            if unknown := self.teacher.unknown(texts):
                rank_zero_warn(
                    f"{split}: {len(unknown)} of {len(set(texts))} texts hold nothing of the teacher's vocabulary and "
                    f"are all the same to it (<unk>): {first_few(unknown, 3)}"
                )
        others = self.trainer.world_size > 1 and self.hparams["gather_negatives"]
        if data.batch_size == 1 and data.frames_per_batch is None and not others:
            rank_zero_warn("a batch of one clip has no negatives: the loss is always 0; pass a larger data.batch_size")

    def on_validation_start(self) -> None:
        """Make the text side of development at once, where no fit has."""
        self._prepare_texts("dev")

    def on_test_start(self) -> None:
        """Make the text side of the test split at once."""
        self._prepare_texts("test")

    def _prepare_texts(self, split: Split) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, SLTDataModule):
            self.teacher.device = self.device
            self.teacher.prepare(data.manifest(split).column("text"))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Bring scales back to their bound, as CiCo does after every step: from far above they would come back late."""
        for scale in (self.network.scale_ce, self.network.scale_hs):
            if scale is not None:
                scale.bound()

    def on_train_epoch_start(self) -> None:
        """Say once that accumulated batches do not see each other's texts."""
        batches = self.trainer.accumulate_grad_batches  # a callback may change it from epoch to epoch
        if batches > 1 and not self._told_of_accumulation:
            self._told_of_accumulation = True
            data = self.data()
            size = "batch_size" if data.frames_per_batch is None else "frames_per_batch"
            rank_zero_warn(
                f"trainer.accumulate_grad_batches={batches} adds no negatives: each clip is contrasted with the texts "
                f"of its own batch, and the gradients of {batches} such losses are averaged. For {batches} times as "
                "many in about the memory of one batch, train without accumulation, with "
                f"data.{size}={batches * getattr(data, size)} and model.clips_at_a_time={data.batch_size}"
            )

    def losses(self, batch: Batch) -> Losses:
        """L_CE, L_HS and their sum; in evaluation also what retrieval is measured on."""
        hp = self.hparams
        rows, segments = self.rows_of(batch)
        tokens, hidden, mask = self.network(rows, segments, hp["clips_at_a_time"], batch.id)
        self.teacher.device = self.device
        sides = [side.to(self.device) for side in self.teacher(batch.text)]
        if sides[0].values.shape[1] != hp["width"]:
            raise ConfigError(
                "visual tokens and teacher have different widths",
                expected=f"model.width={sides[0].values.shape[1]}, as the teacher",
                found=f"model.width={hp['width']}",
            )
        scales = self.network.scales()
        terms: dict[str, Tensor] = {}
        if hidden is None or hp["dual_supervision"]:
            terms["loss_ce"] = self._contrast(tokens, mask, sides[0], scales[0])
        if hidden is not None:
            terms["loss_hs"] = self._contrast(hidden, mask, sides[1], scales[1])
        total = terms["loss_ce"] if hidden is None else terms["loss_hs"]
        if len(terms) == 2:
            total = hp["beta"] * terms["loss_ce"] + (1 - hp["beta"]) * terms["loss_hs"]
        kept = {} if self.training else self._keep(batch, tokens, hidden, mask, sides)
        return Losses(total, {**terms, "scale": scales[0].detach()}, kept=kept)

    def _contrast(self, video: Tensor, mask: Tensor, text: Ragged, scale: Tensor) -> Tensor:
        hp = self.hparams
        gathers = self.training and hp["gather_negatives"]
        values, text_mask = gather_sequences(*text.padded()) if gathers else text.padded()
        z_v2t, z_t2v = self._similarity(video, mask, values, text_mask)
        if gathers:
            z_v2t, z_t2v = gather_rows(z_v2t), gather_rows(z_t2v)
        return clcl_loss(z_v2t, z_t2v, scale, alpha=hp["alpha"], direction=hp["direction"])

    def _similarity(self, video: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
        hp = self.hparams
        if hp["loss"] == "clcl":
            return clcl_similarity(video, mask, text, text_mask, hp["temperature"], legacy_mask=hp["legacy_mask"])
        pooled = [_pool(side.float(), valid, hp["clip_pool"]) for side, valid in ((video, mask), (text, text_mask))]
        z = pooled[0] @ pooled[1].T
        return z, z  # with one vector a side both directions of CLCL are CLIP's

    @property
    def _main(self) -> int:
        """The loss that weighs most: 0: of embeddings, 1: of hidden states."""
        hp = self.hparams
        return 0 if not hp["te_layers"] or (hp["dual_supervision"] and hp["beta"] >= 0.5) else 1

    def _keep(
        self, batch: Batch, tokens: Tensor, hidden: Tensor | None, mask: Tensor, sides: Sequence[Ragged]
    ) -> dict[str, Any]:
        """Of each clip its tokens and those of its text, of the loss that weighs most, and its text."""
        video = tokens if self._main == 0 or hidden is None else hidden
        text = sides[self._main].split()
        lengths = mask.sum(1).tolist()
        return {
            i: (video[row, : lengths[row]].float().cpu(), text[row].float().cpu(), batch.text[row])
            for row, i in enumerate(batch.id)
        }

    def measure(self, split: Split, kept: Mapping[str, Any]) -> dict[str, float]:
        """Retrieval among all clips of the split, both ways, and their contrast; none depends on batches.

        In retrieval texts that are the same count as one. In ``contrast``, the loss that weighs most with all clips of
        the split as one batch, they are negatives of each other, as in training.
        """
        hp = self.hparams
        video, text = (Ragged.pack([clip[side] for clip in kept.values()]).padded() for side in (0, 1))
        with torch.no_grad():
            z_v2t, z_t2v = self._similarity(*video, *text)
            scale = self.network.scales()[self._main].cpu()
            contrast = clcl_loss(z_v2t, z_t2v, scale, alpha=hp["alpha"], direction=hp["direction"])
        similarity = (0.5 * (z_v2t + z_t2v)).numpy()
        found = retrieval_scores(similarity, self.teacher.targets([clip[2] for clip in kept.values()]))
        return {"contrast": contrast.item(), **found}


def _pool(tokens: Tensor, mask: Tensor, how: str) -> Tensor:
    """One unit vector ``(B, D)`` of the valid tokens; zeros where there is none."""
    first = mask & (mask.cumsum(1) == 1) if how == "cls" else mask
    mean = (tokens * first[..., None]).sum(1) / first.sum(1, keepdim=True).clamp(min=1)
    return torch.nn.functional.normalize(mean, dim=-1)


class SAGE(SAGEModule, MBartModule):
    """Stage 2 of SAGE (arXiv 2507.09266): visual tokens of sign segments to the sentence, by mBART.

    Args:
        pretraining: checkpoint of `SAGEPretraining` to start from; None: see ``stage2_init``.
        stage2_init: what of it: ``"vle"``: the visual encoder; ``"vle_te"``: TE as well, as mBART's encoder (of the
            same sizes); ``"none"``: nothing.
        visual_embed_scale: factor of visual tokens as mBART reads them.
        optimizer: SGD with momentum 0.9 and weight decay 0.001 at 0.004.
        base: arguments of what both stages share, of `MBartModule` and of `SLTModule`.
    """

    def __init__(
        self,
        *,
        pretraining: str | None = None,
        stage2_init: Literal["vle", "vle_te", "none"] | None = None,
        visual_embed_scale: float = 1.0,
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=0.004, momentum=0.9, weight_decay=0.001),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        hp = self.hparams
        parts = [part for source in hp["init_from"] or [] for part in source["map"].values()]
        given = any(part.startswith("net.visual.") or "net.visual.".startswith(part) for part in parts)
        self._bare = pretraining is None and hp["stage2_init"] != "none" and not given and not hp["initialised_from"]
        if pretraining is not None and hp["stage2_init"] != "none" and hp["initialised_from"] is None:
            source = stage2_source(pretraining, hp["stage2_init"])
            hp["init_from"] = [source, *(hp["init_from"] or [])]  # of vocabularies the last one counts: the mBART's

    def on_fit_start(self) -> None:
        """Tell a visual encoder that begins with random weights from one that was meant to."""
        super().on_fit_start()
        if self._bare:
            rank_zero_warn(
                f"model.stage2_init={self.hparams['stage2_init']}, and model.pretraining names no first stage: the "
                "visual encoder begins with random weights. Name one, or say model.stage2_init=none"
            )

    def build(self) -> SAGENet:
        """Visual encoder and mBART."""
        hp = self.hparams
        seq2seq = self.make_seq2seq(hp["width"], hp["visual_embed_scale"])
        return SAGENet(self.visual_encoder(), seq2seq)

    @property
    def network(self) -> SAGENet:
        """The network, with its type."""
        return cast(SAGENet, self.net)

    def sources(self, batch: Batch) -> tuple[Ragged, Ragged, Sequence[str]]:
        """Rows of the clips, their segments, and their ids."""
        return (*self.rows_of(batch), batch.id)

    def freeze_visual(self) -> None:
        """Take all up to the visual tokens out of training."""
        self.network.visual.freeze()


def stage2_source(path: str, what: Literal["vle", "vle_te"]) -> dict[str, Any]:
    """What stage 2 takes of a checkpoint of stage 1, as plain data of `InitFrom`."""
    mapped, encoder = {"net.visual.": "net.visual."}, "net.seq2seq.mbart.model.encoder."
    if what == "vle":
        return {"path": path, "map": mapped, "unused": [], "fresh": []}
    mapped["net.context.encoder."] = encoder
    return {"path": path, "map": mapped, "unused": [], "fresh": [f"{encoder}embed_tokens."]}

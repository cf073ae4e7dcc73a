"""Low-rank updates of linear layers (LoRA, arXiv 2106.09685) by peft; the network's own weights keep their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

from slt_zoo.errors import ConfigError, UnknownNameError

__all__ = ["LoRA", "inject_lora"]

INSIDE, OUTSIDE = "lora.", ".lora_"


@dataclass(frozen=True)
class LoRA:
    """Low-rank updates of linear layers; in brackets peft's names.

    Attributes:
        rank: of the updates (``r``); they begin as zero.
        alpha: updates are multiplied by ``alpha / rank`` (``lora_alpha``).
        dropout: of what the updates read (``lora_dropout``).
        targets: last parts of the names of the linear layers that get one (``target_modules``).
    """

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("q_proj", "v_proj")

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ConfigError("the rank of LoRA is at least 1", found=self.rank)
        if not 0 <= self.dropout < 1:
            raise ConfigError("the dropout of LoRA is in [0, 1)", found=self.dropout)
        if not self.targets or isinstance(self.targets, str):
            raise ConfigError(
                "targets of LoRA are a list of layers",
                expected="targets: [q_proj, v_proj], say",
                found=f"targets={self.targets}",
            )

    @classmethod
    def of(cls, given: LoRA | Mapping[str, Any]) -> LoRA:
        """Settings as such, or as plain data (a recipe's, a checkpoint's).

        Raises:
            UnknownNameError: plain data name a setting that there is not.
        """
        if isinstance(given, LoRA):
            return given
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise UnknownNameError("setting of LoRA", str(name), known)
        settings = dict(given)
        if isinstance(settings.get("targets"), list):
            settings["targets"] = tuple(settings["targets"])
        return cls(**settings)


def inject_lora(owner: nn.Module, network: nn.Module, lora: LoRA, *, without: Sequence[str] = ()) -> None:
    """Put low-rank updates beside the linear layers of a network; only they are trained from then on.

    In state dicts of ``owner`` all weights keep the names that they had without LoRA, and the updates have names of
    their own below ``lora.``: weights of a network without LoRA fit in, with ``fresh: [<prefix>lora.]``.

    Args:
        owner: holds the network; its state dict gets the names.
        network: changed in place.
        lora: the settings.
        without: parts of the network that get none, by the begin of their names (``"model.encoder."``).

    Raises:
        ConfigError: peft is not installed, the network has LoRA already, or it has no such layer.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as cause:
        raise ConfigError("LoRA needs peft, which is not installed", todo="pip install 'slt-zoo[lora]'") from cause
    if any(OUTSIDE in name for name, _ in network.named_parameters()):
        raise ConfigError("the network has LoRA already")
    linear = {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(tuple(without))
    }
    if missing := sorted(set(lora.targets) - linear):
        raise ConfigError(
            "LoRA goes beside linear layers of the network",
            expected=", ".join(sorted(linear)),
            found=", ".join(missing),
        )
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        exclude_modules="|".join(re.escape(part) + ".*" for part in without) or None,
    )
    inject_adapter_in_model(config, network)
    # torch has no types for these two
    owner.register_state_dict_post_hook(_rename_out)  # type: ignore[no-untyped-call]
    owner.register_load_state_dict_pre_hook(_rename_in)  # type: ignore[no-untyped-call]


def _rename_out(owner: nn.Module, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    """``layer.base_layer.weight`` to ``layer.weight``; ``layer.lora_A.weight`` to ``lora.layer.lora_A.weight``."""
    for name in [name for name in state if name.startswith(prefix)]:
        if OUTSIDE in name:
            state[prefix + INSIDE + name.removeprefix(prefix)] = state.pop(name)
        elif ".base_layer." in name:
            state[name.replace(".base_layer.", ".")] = state.pop(name)


def _rename_in(owner: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """The inverse; only what was replaced by a layer with an update has a base layer."""
    inner = {name.replace(".base_layer.", "."): name for name, _ in owner.named_parameters() if ".base_layer." in name}
    for name in [name for name in state if name.startswith(prefix)]:
        own = name.removeprefix(prefix)
        if own.startswith(INSIDE):
            state[prefix + own.removeprefix(INSIDE)] = state.pop(name)
        elif own in inner:
            state[prefix + inner[own]] = state.pop(name)

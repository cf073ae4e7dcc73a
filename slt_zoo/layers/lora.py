"""Low-rank updates of linear layers (LoRA, arXiv 2106.09685) by peft; the network's own weights keep their names."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from slt_zoo.errors import ConfigError

__all__ = ["inject_lora"]

INSIDE, OUTSIDE = "lora.", ".lora_"


def inject_lora(
    owner: nn.Module, network: nn.Module, *, rank: int, alpha: int, dropout: float, targets: tuple[str, ...]
) -> None:
    """Put low-rank updates beside the linear layers of a network; only they are trained from then on.

    In state dicts of ``owner`` all weights keep the names that they had without LoRA, and the updates have names of
    their own below ``lora.``: weights of a network without LoRA fit in, with ``fresh: [<prefix>lora.]``.

    Args:
        owner: holds the network; its state dict gets the names.
        network: changed in place.
        rank: of the updates; they begin as zero.
        alpha: the updates are multiplied by ``alpha / rank``.
        dropout: of what the updates read.
        targets: last parts of the names of linear layers.

    Raises:
        ConfigError: peft is not installed, the network has LoRA already, or it has no such layer.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as cause:
        raise ConfigError("LoRA needs peft, which is not installed", todo="pip install 'slt-zoo[lora]'") from cause
    if any(OUTSIDE in name for name, _ in network.named_parameters()):
        raise ConfigError("the network has LoRA already")
    if rank < 1:
        raise ConfigError("the rank of LoRA is at least 1", found=rank)
    linear = {name.rpartition(".")[2] for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    if missing := sorted(set(targets) - linear):
        raise ConfigError(
            "LoRA goes beside linear layers of the network",
            expected=", ".join(sorted(linear)),
            found=", ".join(missing),
        )
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(targets))
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

"""``slt-zoo list`` and ``slt-zoo show``: what the package has; reads no model code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import yaml

import slt_zoo
from slt_zoo import recipes
from slt_zoo.errors import UnknownNameError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """``list models|corpora|recipes|protocols`` or ``show zoo:...``."""
    word, *rest = argv
    if word == "list":
        return _list(rest)
    if not rest or rest[0] in ("-h", "--help"):
        print("usage: slt-zoo show zoo:<model>/<corpus>[/<phase>]\n\nPrints the recipe's phases, or one phase's file.")
        return 0 if rest else 2
    for name in rest:
        _show(name)
    return 0


def _list(rest: Sequence[str]) -> int:
    kinds: dict[str, Callable[[], list[str]]] = {
        "models": lambda: sorted(slt_zoo._MODELS),
        "corpora": lambda: sorted(slt_zoo._CORPORA),
        "recipes": lambda: [*(r.name for r in recipes.all_recipes()), *(f"{n}  (overlay)" for n in recipes.overlays())],
        "protocols": _protocols,
    }
    if not rest or rest[0] in ("-h", "--help"):
        print(f"usage: slt-zoo list {{{','.join(kinds)}}}")
        return 0 if rest else 2
    for kind in rest:
        if kind not in kinds:
            raise UnknownNameError("list", kind, kinds)
        print("\n".join(kinds[kind]()))
    return 0


def _protocols() -> list[str]:
    from slt_zoo.metrics.protocols import PROTOCOLS

    width = max(map(len, PROTOCOLS))
    return [f"{name:<{width}}  {protocol.note}" for name, protocol in PROTOCOLS.items()]


def _show(name: str) -> None:
    if name.removeprefix(recipes.PREFIX).count("/") == 1 and name not in recipes.overlays():
        phases = recipes.phases_of(name)
        for phase in phases:
            card = phase.read().get("card", {})
            print(f"{phase.number}. {phase.name}")
            print(yaml.safe_dump({"card": card}, allow_unicode=True, sort_keys=False).rstrip())
        print(f"\nall phases in order: slt-zoo run {name} --data.root DIR")
        return
    for path in recipes.overlays().get(name) or [recipes.resolve(name)[0]]:
        print(path.read_text(encoding="utf-8").rstrip())

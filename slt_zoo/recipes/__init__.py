"""Recipes: YAML files ``<model>/<corpus>/<n>_<phase>.yaml``, named ``zoo:<model>/<corpus>/<phase>``.

``<model>/tiny.yaml`` is an overlay of small sizes, named ``zoo:<model>/tiny``, that goes on top of any
recipe of the model. A phase whose class has other arguments has an overlay of its own under the same name,
``<model>/tiny.<phase>.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slt_zoo.errors import ConfigError, UnknownNameError, nearest

__all__ = ["PREFIX", "Recipe", "all_recipes", "overlay", "overlays", "phases_of", "resolve"]

PREFIX = "zoo:"
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """One phase.

    Attributes:
        model: folder of the model.
        corpus: folder of the corpus or of one of its variants.
        number: place in the order of phases, from 1.
        phase: its name.
        path: the YAML file.
    """

    model: str
    corpus: str
    number: int
    phase: str
    path: Path

    @property
    def name(self) -> str:
        """``zoo:<model>/<corpus>/<phase>``."""
        return f"{PREFIX}{self.model}/{self.corpus}/{self.phase}"

    def read(self) -> dict[str, Any]:
        """The file as plain data."""
        data: dict[str, Any] = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return data


def all_recipes() -> list[Recipe]:
    """Every phase that the package ships, by model, corpus and order."""
    found = []
    for path in sorted(FOLDER.glob("*/*/*.yaml")):
        number, _, phase = path.stem.partition("_")
        found.append(Recipe(path.parent.parent.name, path.parent.name, int(number), phase, path))
    return sorted(found, key=lambda r: (r.model, r.corpus, r.number))


def overlays() -> dict[str, list[Path]]:
    """Names (``zoo:<model>/tiny``) of the overlays, and the files of each."""
    found: dict[str, list[Path]] = {}
    for path in sorted(FOLDER.glob("*/*.yaml")):
        found.setdefault(f"{PREFIX}{path.parent.name}/{path.stem.partition('.')[0]}", []).append(path)
    return found


def overlay(name: str, phase: str | None) -> Path:
    """The file of an overlay for a phase: the phase's own, or the one for all.

    Args:
        name: one of `overlays`.
        phase: of the recipe below it; None: not known.

    Raises:
        ConfigError: every phase has its own, and the phase is not known or has none.
    """
    files = {path.stem.partition(".")[2]: path for path in overlays()[name]}
    if phase in files or "" in files:
        return files.get(phase or "") or files[""]
    raise ConfigError(
        f"{name} is another file for each phase",
        expected=f"one of {', '.join(sorted(files))}",
        found="no recipe before it" if phase is None else f"phase {phase}",
        todo=f"name the recipe first: --config {name.rpartition('/')[0]}/<corpus>/<phase> --config {name}",
    )


def phases_of(name: str) -> list[Recipe]:
    """All phases of ``zoo:<model>/<corpus>``, in order.

    Raises:
        UnknownNameError: there is no such recipe; the message names the nearest.
    """
    short = name.removeprefix(PREFIX)
    phases = [r for r in all_recipes() if f"{r.model}/{r.corpus}" == short]
    if not phases:
        raise _unknown(name, sorted({f"{PREFIX}{r.model}/{r.corpus}" for r in all_recipes()}))
    return phases


def resolve(name: str, phase: str | None = None) -> tuple[Path, str]:
    """The file of a name, and the full name: without a phase the last one is taken.

    Args:
        name: of a recipe or an overlay.
        phase: on which an overlay is put.

    Raises:
        ConfigError: an overlay has no file for the phase.
        UnknownNameError: there is no such recipe; the message names the nearest.
    """
    if name in overlays():
        return overlay(name, phase), name
    recipes = {r.name: r for r in all_recipes()}
    if name in recipes:
        return recipes[name].path, name
    if name.removeprefix(PREFIX).count("/") == 1 and any(n.startswith(name + "/") for n in recipes):
        last = phases_of(name)[-1]
        return last.path, last.name
    raise _unknown(name, list(recipes))


def _unknown(name: str, known: list[str]) -> ConfigError:
    """Recipes and overlays are told apart: an overlay alone is nothing that runs."""
    there = f"`slt-zoo list recipes` shows all. Overlays go on top of a recipe: {', '.join(overlays())}"
    if name in overlays():
        return ConfigError(f"{name} is an overlay and no recipe", todo=f"name the recipe below it; {there}")
    near = nearest(name, overlays(), n=1, cutoff=0.9)
    if near:
        there = f"or is the overlay {near[0]!r} meant? {there}"
    return UnknownNameError("recipe", name, known, todo=there)

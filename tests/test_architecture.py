"""The structure of the package, read from its source: which room imports which, and how big a thing may grow."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import slt_zoo

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "slt_zoo"

LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"testing", "__main__"}),
    frozenset({"cli"}),
    frozenset({""}),  # slt_zoo/__init__.py: its names reach everything below
    frozenset({"analysis"}),
    frozenset({"models", "datamodules", "synthetic"}),
    frozenset({"callbacks", "loading", "extraction", "segmentation"}),
    frozenset({"layers", "losses", "metrics", "data", "optim"}),
    frozenset({"text", "recipes"}),
    frozenset({"types"}),
    frozenset({"errors", "files", "_version"}),
)
"""Rooms from top to bottom. A room imports what is below it, and nothing beside or above it."""

UPWARDS = {
    ("slt_zoo.datamodules", "slt_zoo"): "its names are the table of corpora in slt_zoo/__init__.py, read and no more",
    ("slt_zoo.loading", "slt_zoo.models.base"): "load(path) must know what a model is to refuse what is none",
}
"""Imports against the direction: (module, imported module) and why."""

WITHOUT_LIGHTNING = ("layers", "losses", "text", "types", "errors", "optim", "recipes", "synthetic")
MAX_FILE, MAX_FUNCTION = 500, 70


class Import(NamedTuple):
    importer: str
    imported: str
    where: str


def python_files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, f"no Python files below {folders}"
    return found


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in python_files("slt_zoo")}


def imports_of(name: str, tree: ast.Module, *, package: bool) -> Iterator[Import]:
    """Every import of a module, those inside functions and under TYPE_CHECKING too, as full module names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name, f"{name}:{node.lineno}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".") if package else name.split(".")[:-1]
                base = ".".join([*here[: len(here) - node.level + 1], *([base] if base else [])])
            yield from (Import(name, home(base, alias.name), f"{name}:{node.lineno}") for alias in node.names)


def home(base: str, attribute: str) -> str:
    """The module that ``from base import attribute`` reaches; public names of slt_zoo lead to where they live."""
    if f"{base}.{attribute}" in MODULES:
        return f"{base}.{attribute}"
    return str(slt_zoo._HOMES.get(attribute, base)) if base in ("slt_zoo", "slt_zoo.datamodules") else base


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(
        found
        for name, path in MODULES.items()
        for found in imports_of(name, parse(path), package=path.name == "__init__.py")
    )


def own_imports() -> list[Import]:
    found = [i for i in all_imports() if i.imported.split(".")[0] == "slt_zoo"]
    assert len(found) > 100, "the imports of the package were not found"
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def level(module: str) -> int:
    return next(i for i, rooms in enumerate(LEVELS) if room(module) in rooms)


def test_every_room_has_its_level():
    known = [name for rooms in LEVELS for name in rooms]
    assert len(known) == len(set(known))
    assert {room(module) for module in MODULES} - set(known) == set(), "give the new room a level, and say why"


def test_the_reader_of_imports_sees_every_kind():
    source = (
        "import slt_zoo.cli\nfrom slt_zoo import SignAttention, loading\n"
        "from .base import SLTModule\nfrom .. import text\n"
        "if TYPE_CHECKING:\n    from slt_zoo.types import Batch\ndef f():\n    from slt_zoo.data import base as b\n"
    )
    found = {i.imported for i in imports_of("slt_zoo.models.new", ast.parse(source), package=False)}
    assert found == {
        *("slt_zoo.cli", "slt_zoo.models.sign_attention", "slt_zoo.loading", "slt_zoo.models.base", "slt_zoo.text"),
        *("slt_zoo.types", "slt_zoo.data.base"),
    }


def test_imports_run_downwards():
    against = {
        (i.importer, i.imported): i.where
        for i in own_imports()
        if room(i.importer) != room(i.imported) and level(i.importer) >= level(i.imported)
    }
    wrong = [
        f"{where} imports {imported}"
        for (importer, imported), where in against.items()
        if (importer, imported) not in UPWARDS
    ]
    assert not wrong
    assert not [f"{pair}: {reason}" for pair, reason in UPWARDS.items() if pair not in against], "no longer needed"


@pytest.mark.parametrize("name", WITHOUT_LIGHTNING)
def test_rooms_below_the_models_do_without_lightning(name):
    lightning = [
        i.where for i in all_imports() if room(i.importer) == name and i.imported.split(".")[0].endswith("lightning")
    ]
    assert not lightning


OF_ALL_PAPERS = {f"slt_zoo.models.{part}" for part in ("base", "evaluation", "translator")}


def paper_of(module: str) -> str:
    """The shortest module of ``models/`` whose name this one has, or goes on from with an underscore."""
    papers = [m for m in MODULES if room(m) == "models" and f"{module}_".startswith(f"{m}_")]
    return min(papers, key=len, default="")


def test_papers_and_corpora_stand_alone():
    wrong = []
    for i in own_imports():
        same = room(i.importer) == room(i.imported) and i.importer != i.imported
        others = i.imported not in OF_ALL_PAPERS and paper_of(i.importer) != paper_of(i.imported)
        if room(i.importer) == "models" and same and others:
            wrong.append(i.where)
        if room(i.importer) == "datamodules" and same and i.importer != f"{i.imported}_qa":
            wrong.append(i.where)
    assert not wrong, "what two papers share belongs into layers/ or losses/, what two corpora share into data/"


def test_recipes_know_no_code():
    assert {room(i.imported) for i in own_imports() if room(i.importer) == "recipes"} <= {"recipes", "errors"}


def test_no_star_imports():
    stars = [
        f"{path}:{node.lineno}"
        for path in python_files("slt_zoo", "tests")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    assert not stars


def test_no_room_for_everything():
    assert not [name for name in MODULES if name.rpartition(".")[2] in ("utils", "util", "helpers", "common", "misc")]


def test_files_and_functions_hold_one_thing():
    too_long = []
    for path in python_files("slt_zoo", "tests"):
        place = path.relative_to(ROOT)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE:
            too_long.append(f"{place}: {lines} lines")
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > MAX_FUNCTION:
                    too_long.append(f"{place}:{node.lineno} {node.name}: {length} lines")
    assert not too_long


@pytest.mark.parametrize(
    ("statement", "seconds"),
    [("import slt_zoo", 0.05), ("from slt_zoo.cli import main; assert main(['--help']) == 0", 0.5)],
    ids=["import", "help"],
)
def test_import_and_help_are_light(statement, seconds):
    """CPU seconds of the statement, the least of three; the interpreter's own start is not counted."""
    program = (
        "import json, sys, time; began = time.process_time()\n"
        f"{statement}\n"
        "print(json.dumps([time.process_time() - began, sorted({name.split('.')[0] for name in sys.modules})]))"
    )
    spent = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        used, modules = json.loads(done.stdout.splitlines()[-1])
        spent.append(used)
        assert "slt_zoo" in modules
        assert not {"torch", "lightning", "pytorch_lightning", "transformers"} & set(modules)
    assert min(spent) < seconds

"""What the package says of itself: version, names, files, pages."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import slt_zoo
from slt_zoo import recipes
from slt_zoo.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
TEXT_FILES = {"", ".cff", ".cfg", ".ipynb", ".md", ".py", ".pyi", ".toml", ".typed", ".yaml", ".yml"}
PLACES = ("slt_zoo", "tests", "docs", "examples", ".github", ".ci")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_of(page: Path) -> str:
    """Fenced blocks and code in the line, placeholders such as ``zoo:<model>`` included."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))
    return "\n".join([*fenced, *inline])


def project_files() -> list[Path]:
    nested = [p for place in PLACES for p in (ROOT / place).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return sorted([*nested, *(p for p in ROOT.iterdir() if p.is_file())])


def test_the_version_stands_in_one_place():
    assert version("slt-zoo") == slt_zoo.__version__
    assert PYPROJECT["project"]["dynamic"] == ["version"] and "version" not in PYPROJECT["project"]
    holders = {p.name for p in (ROOT / "slt_zoo").rglob("*.py") if slt_zoo.__version__ in p.read_text("utf-8")}
    assert holders == {"_version.py"}
    assert yaml.safe_load(read("CITATION.cff"))["version"] == slt_zoo.__version__, "a citation names a version too"


@pytest.mark.parametrize("name", slt_zoo.__all__)
def test_public_names_resolve(name):
    value = getattr(slt_zoo, name)
    assert name == "__version__" or value.__name__ == name


def test_rooms_of_names_agree():
    from slt_zoo import datamodules

    assert datamodules.__all__ == sorted(slt_zoo._CORPORA)
    assert all(getattr(datamodules, name) is getattr(slt_zoo, name) for name in datamodules.__all__)
    assert dir(slt_zoo) == sorted(slt_zoo.__all__)


@pytest.mark.parametrize(
    ("wrong", "right"), [("SignAtention", "SignAttention"), ("phoenix14t", "Phoenix14T"), ("SLTmodule", "SLTModule")]
)
def test_a_misspelt_name_gets_the_nearest(wrong, right):
    with pytest.raises(AttributeError, match=rf"no attribute {wrong!r}; did you mean .*\b{right}\b"):
        getattr(slt_zoo, wrong)
    with pytest.raises(ImportError, match=wrong):
        exec(f"from slt_zoo import {wrong}")


def test_everything_that_is_no_code_is_package_data():
    package = ROOT / "slt_zoo"
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["slt_zoo"]
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    others = {p for p in package.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert package / "py.typed" in others
    assert {recipe.path for recipe in recipes.all_recipes()} | {
        p for files in recipes.overlays().values() for p in files
    } <= others
    assert others - packed == set(), "not in the wheel: name it in [tool.setuptools.package-data]"


def test_licence_and_metadata_agree():
    text = read("LICENSE")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert (
        "9. Accepting Warranty or Additional Liability" in text and "Copyright [yyyy] [name of copyright owner]" in text
    )
    assert PYPROJECT["project"]["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "Apache-2.0"


def test_the_changelog_has_a_place_for_what_comes():
    assert re.search(r"^## \[?Unreleased\]?$", read("CHANGELOG.md"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_and_recipes_of_the_pages_exist(page):
    code = code_of(page)
    words = set(re.findall(r"(?<![\w./-])slt-zoo +([a-z][\w-]*)", code))
    assert words <= set(COMMANDS), f"no such command: {words - set(COMMANDS)}"
    for name in set(re.findall(r"zoo:[\w./-]+(?![\w<])", code)):
        recipes.resolve(name)


def test_advice_names_commands_and_recipes_that_exist():
    for path in sorted((ROOT / "slt_zoo").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        words = set(re.findall(r"slt-zoo ([a-z][\w-]*)", text))
        assert words <= set(COMMANDS), f"{path.relative_to(ROOT)}: no such command: {words - set(COMMANDS)}"
        for name in set(re.findall(r"zoo:[\w/]+(?![\w<])", text)):
            recipes.resolve(name)


def test_python_of_the_readme_compiles_and_its_imports_work():
    blocks = re.findall(r"^```python\n(.*?)^```", read("README.md"), flags=re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        tree = ast.parse(block)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), "README.md", "exec"), {})


def test_the_readme_shows_the_way():
    code = code_of(ROOT / "README.md")
    assert {"make demo", "make test"} <= set(code.splitlines())
    assert {"simulate", "fit", "run", "test", "list", "show"} <= set(re.findall(r"slt-zoo (\w+)", code))
    makefile = read("Makefile")
    for target in set(re.findall(r"^make ([\w-]+)", code, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        broken += [f"{page.name}: {t}" for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not broken


def test_no_place_of_somebodys_machine():
    absolute = re.compile(r"(?<![\w.\-~<>$}/])/(?:home|Users|root|work|opt|mnt)\b")
    assert absolute.search("in " + "/" + "work/x") and not absolute.search(".github" + "/" + "workflows")
    files = [p for p in project_files() if p.suffix in TEXT_FILES]
    assert len(files) > 50
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if absolute.search(line)
    ]
    assert not found

"""The notebooks run as they stand, only smaller."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from slt_zoo.metrics import score
from slt_zoo.metrics.systems import line_ids, read_lines

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.ipynb"))
SMALL = 'SAMPLES = (120, 8, 8)\nSTEPS = 50\nFOLDER = "runs"'


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    parameters = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(parameters) == 1
    parameters[0].source = SMALL
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 2, "curves and attention are drawn"
    assert any("phoenix14t/signjoey" in output.get("text", "") for output in shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_kept_without_output(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)


def test_there_is_a_notebook():
    assert [path.name for path in NOTEBOOKS] == ["demo.ipynb"]


def test_the_table_of_effects_is_what_the_command_says():
    root = Path(__file__).parents[1]
    page = (root / "docs/evaluation.md").read_text("utf-8")
    table = next(part for part in page.split("\n\n") if part.startswith("| files |")).splitlines()
    columns = [cell.strip(" `") for cell in table[0].strip("|").split("|")][2:]
    assert columns[0] == "bleu4" and len(table) > 10
    for line in table[2:]:
        language, protocol, *cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        files = [root / f"examples/evaluation/{language}.{kind}.txt" for kind in ("hyp", "ref")]
        hypotheses, references = (dict(zip(line_ids(12), read_lines(f), strict=True)) for f in files)
        values = score(hypotheses, references, protocol, samples=0).values
        assert cells == [f"{values[c]:.2f}" if c in values else "" for c in columns], (language, protocol)

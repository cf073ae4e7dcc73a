"""Every shipped recipe: it parses, its network has its full size, and it runs small."""

from __future__ import annotations

import pytest
import torch
import yaml

import slt_zoo
from slt_zoo import recipes
from slt_zoo.cli import main
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

ALL = recipes.all_recipes()


@pytest.mark.parametrize("recipe", ALL, ids=lambda r: r.name)
def test_it_runs_with_the_tiny_overlay(recipe, simulated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3))
    words = ["--config", recipe.name, "--config", f"zoo:{recipe.model}/tiny", "--data.root", root]
    assert main(["fit", *words, "--trainer.fast_dev_run", "true"]) == 0
    assert not list(tmp_path.iterdir()), "a dry run leaves nothing"


@pytest.mark.parametrize("recipe", ALL, ids=lambda r: r.name)
def test_its_network_builds_at_full_size(recipe, simulated, monkeypatch):
    settings = recipe.read()
    name = settings["model"]["class_path"].removeprefix("slt_zoo.")
    arguments = {k: v for k, v in settings["model"]["init_args"].items() if k not in ("optimizer", "lr_scheduler")}
    data = slt_zoo.Phoenix14T(str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3)))
    with torch.device("meta"):
        model = getattr(slt_zoo, name)(**arguments)
        model.read_data(data)
        model.configure_model()
    assert all(p.device.type == "meta" for p in model.parameters()) and sum(p.numel() for p in model.parameters()) > 0


@pytest.mark.parametrize("recipe", ALL, ids=lambda r: r.name)
def test_its_card_and_folder_are_there(recipe):
    settings = recipe.read()
    assert settings["card"]["paper"] and settings["trainer"]["default_root_dir"] == (
        f"runs/{recipe.model}/{recipe.corpus}/{recipe.phase}"
    )
    text = recipe.path.read_text(encoding="utf-8")
    assert text.startswith("#"), "a recipe says in its first lines what it is"


@pytest.mark.parametrize("path", recipes.overlays().values(), ids=str)
def test_overlays_are_plain(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["init_args"]

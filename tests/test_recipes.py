"""Every shipped recipe: it parses, its network has its full size, and it runs small."""

from __future__ import annotations

import shlex
import shutil

import pytest
import torch
import yaml

import slt_zoo
from slt_zoo import recipes
from slt_zoo.cli import main, run, training
from slt_zoo.data.boundaries import fixed_length
from slt_zoo.data.stores.naming import extract_command
from slt_zoo.errors import ConfigError
from slt_zoo.testing import simulated
from slt_zoo.text import WordCodec
from slt_zoo.text.mbart import MBART_LARGE

__all__ = ["simulated"]  # a fixture

ALL = recipes.all_recipes()


SETS = sorted({(r.model, r.corpus) for r in ALL})


def medium_of(model: dict, corpus: str) -> str:
    """What a recipe's model reads; poses where it reads text alone."""
    arguments = {k: v for k, v in model["init_args"].items() if k not in ("optimizer", "lr_scheduler", "init_from")}
    modality = getattr(slt_zoo, model["class_path"].removeprefix("slt_zoo."))(**arguments).input_spec.modality
    own = {"none": "pose", "frames": "video" if corpus == "How2Sign" else "frames"}
    return own.get(modality, modality)


@pytest.fixture
def corpus_of(simulated, tmp_path_factory):
    """Name and simulated root of the corpus that a recipe is for, with the medium or the features that it reads."""

    def make(recipe: recipes.Recipe) -> tuple[str, str]:
        settings = recipe.read()
        name, given = (settings["data"][key] for key in ("class_path", "init_args"))
        name, model = name.removeprefix("slt_zoo."), settings["model"]["init_args"]
        segments = given.get("segments", "labels")
        needs_none = segments == "labels" or fixed_length(segments) is not None
        if not (feature_id := model.get("feature_id")) and needs_none:
            return name, str(simulated(name, samples=(8, 4, 4), seed=3, render=(medium_of(settings["model"], name),)))
        if not feature_id:
            root = tmp_path_factory.mktemp("segments") / "corpus"
            sizes = {"frame_size": (48, 64), "render": (medium_of(settings["model"], name),)}
            shutil.copytree(simulated(name, samples=(8, 4, 4), seed=3, **sizes), root)
            words = ["segment", "--corpus", name, "--root", str(root), "--segmentor", "oracle", "--id", segments]
            assert main(words) == 0
            return name, str(root)
        root = tmp_path_factory.mktemp("features") / "corpus"
        shutil.copytree(simulated(name, samples=(8, 4, 4), seed=3, render=("video",), frame_size=(64, 64)), root)
        words = shlex.split(extract_command(feature_id, name, str(root)))[1:]
        corpus = [f"{key}={given[key]}" for key in ("cut",) if key in given]
        assert main([*words, "--splits", "train", "dev", "--set", *corpus, "--no-progress"]) == 0
        return name, str(root)

    return make


@pytest.mark.parametrize(("model", "corpus"), SETS, ids=["/".join(s) for s in SETS])
def test_its_phases_run_in_order_with_the_tiny_overlay(model, corpus, corpus_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phases = recipes.phases_of(f"zoo:{model}/{corpus}")
    for phase in phases:
        _, root = corpus_of(phase)
        words = ["--config", phase.name, "--config", f"zoo:{model}/tiny", "--data.root", root]
        if phase is phases[-1]:  # the earlier ones leave the weights that the last is made from
            before = sorted(tmp_path.rglob("*"))
            assert main(["fit", *words, "--trainer.fast_dev_run", "true"]) == 0
            assert sorted(tmp_path.rglob("*")) == before, "a dry run leaves nothing"
        else:
            words += ["--trainer.max_steps", "1", "--trainer.limit_val_batches", "1"]
            words += ["--trainer.val_check_interval", "1", "--trainer.check_val_every_n_epoch", "null"]
            assert main(["fit", *words, "--trainer.enable_progress_bar", "false"]) == 0


@pytest.mark.parametrize("recipe", ALL, ids=lambda r: r.name)
def test_its_network_builds_at_full_size(recipe, corpus_of, monkeypatch):
    settings = recipe.read()
    name = settings["model"]["class_path"].removeprefix("slt_zoo.")
    given = settings["model"]["init_args"]
    left_out = ("optimizer", "lr_scheduler", "init_from", "pretraining")
    arguments = {k: v for k, v in given.items() if k not in left_out}
    large = {"mbart": MBART_LARGE, "teacher": MBART_LARGE}  # the sizes of the weights that a path stands for
    arguments |= {k: v for k, v in large.items() if isinstance(given.get(k), str)}
    corpus, root = corpus_of(recipe)
    data = getattr(slt_zoo, corpus)(root, **settings["data"]["init_args"])
    data.bind(getattr(slt_zoo, name)(**arguments).input_spec, ["train"])
    with torch.device("meta"):
        model = getattr(slt_zoo, name)(**arguments)
        model.read_data(data)
        model.configure_model()
    assert all(p.device.type == "meta" for p in model.parameters()) and sum(p.numel() for p in model.parameters()) > 0


REAL = {"Phoenix14T": "phoenix14t", "CSLDaily": "csl_daily", "How2Sign": "how2sign", "GSL": "gsl"}
ASKED = {"Phoenix14TQA": "phoenix14t", "CSLDailyQA": "csl_daily"}
CHECKS = {
    "synthetic",
    "synthetic_gloss",
    "fingerspelling",
    "how2sign_clips",
    "phoenix14t_skels",
    "phoenix14t_skels_gloss",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recipe", [r for r in ALL if r.corpus not in CHECKS], ids=lambda r: r.name)
def test_its_longest_target_is_that_of_the_real_corpus(recipe, shared_data):
    """Nothing of dev and test is out of reach, and little is decoded in vain."""
    settings = recipe.read()
    corpus = settings["data"]["class_path"].removeprefix("slt_zoo.")
    if corpus not in {**REAL, **ASKED}:
        pytest.skip(f"no real annotation of {corpus} is at hand")
    arguments = dict(settings["data"]["init_args"])
    if corpus in ASKED:
        arguments["questions"] = str(shared_data / f"{ASKED[corpus]}_qa")
    data = getattr(slt_zoo, corpus)(str(shared_data / {**REAL, **ASKED}[corpus]), **arguments)
    given = settings["model"]["init_args"]
    if "max_tokens" not in given:
        pytest.skip("this model has no longest target of its own")
    samples = [sample for split in ("dev", "test") for sample in data.manifest(split)]
    if given["target"] == "gloss":
        longest = max(len(sample.gloss) for sample in samples)
    else:
        longest = max(WordCodec([], given.get("level", "word")).length(sample.text) - 2 for sample in samples)
    assert longest + 2 <= given["max_tokens"] <= 2 * longest


@pytest.mark.parametrize("recipe", ALL, ids=lambda r: r.name)
def test_its_card_and_folder_are_there(recipe):
    settings = recipe.read()
    assert settings["card"]["paper"] and settings["trainer"]["default_root_dir"] == (
        f"runs/{recipe.model}/{recipe.corpus}/{recipe.phase}"
    )
    text = recipe.path.read_text(encoding="utf-8")
    assert text.startswith("#"), "a recipe says in its first lines what it is"


@pytest.mark.parametrize("path", [p for files in recipes.overlays().values() for p in files], ids=str)
def test_overlays_are_plain(path):
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["init_args"]


@pytest.fixture
def several(tmp_path, monkeypatch):
    """A package of recipes with a model of two phases."""
    for name in ("m/c/1_pretrain", "m/c/2_translate", "m/tiny.pretrain", "m/tiny.translate", "m/fast"):
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"trainer: {{default_root_dir: {name}}}")
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    return tmp_path


def test_an_overlay_may_differ_from_phase_to_phase(several):
    words = ["--config", "zoo:m/c/pretrain", "--config", "zoo:m/tiny", "--config=zoo:m/fast"]
    found = [str(several / f"m/{n}.yaml") for n in ("c/1_pretrain", "tiny.pretrain", "fast")]
    assert training._expand(words) == ["--config", found[0], "--config", found[1], f"--config={found[2]}"]
    last = training._expand(["--config", "zoo:m/c", "--config", "zoo:m/tiny"])
    assert last[3] == str(several / "m/tiny.translate.yaml"), "without a phase the last one"
    with pytest.raises(ConfigError, match="another file for each phase"):
        training._expand(["--config", "zoo:m/tiny"])
    assert list(recipes.overlays()) == ["zoo:m/fast", "zoo:m/tiny"]


def test_options_of_run_may_be_for_one_phase():
    for_all = ["--data.root", "D", "--trainer.x", "1"]
    for_one = ["--pretrain.trainer.max_steps", "-1", "--translate.model.beam_size=3"]
    assert run._by_phase([*for_all, *for_one], ["pretrain", "translate"]) == {
        "pretrain": [*for_all, "--trainer.max_steps", "-1"],
        "translate": [*for_all, "--model.beam_size=3"],
    }


def test_no_phase_is_called_like_an_option_group():
    assert not {r.phase for r in ALL} & {"model", "data", "trainer", "checkpoint", "optimizer", "lr_scheduler", "card"}


def test_a_phase_without_an_evaluation_is_told_before_the_next_one(tmp_path, monkeypatch, capsys):
    def train(words):
        """As a run that ends before `val_check_interval`: a last checkpoint, and no best one."""
        folder = tmp_path / "runs/sage/synthetic/text"
        folder.mkdir(parents=True)
        (folder / "last.ckpt").write_bytes(b"")
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_command", train)
    assert main(["run", "zoo:sage/synthetic", "--data.root", "data", "--trainer.max_steps", "3"]) == 2
    assert "val_check_interval" in capsys.readouterr().err
    assert not (tmp_path / "runs/sage/synthetic/text/finished.json").exists()

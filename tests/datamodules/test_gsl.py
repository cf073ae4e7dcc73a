"""GSL (Greek Sign Language): both schemes on the real files, the folder variants, and damage of its files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from slt_zoo import GSL, InputSpec, SignAttention
from slt_zoo.errors import (
    AnnotationError,
    ConfigError,
    DatasetError,
    DatasetNotFoundError,
    MediaError,
    MissingMediaError,
)
from slt_zoo.synthetic import simulate
from slt_zoo.testing import CorpusContract, quick_trainer, simulated
from slt_zoo.types import SPLITS

__all__ = ["simulated"]  # a fixture

COUNTS = {"si": {"train": 8821, "dev": 588, "test": 881}, "sd": {"train": 8189, "dev": 1063, "test": 1043}}
LISTS = {"si": "gsl_split_SI_{}.csv", "sd": "GSL_SD_{}.csv"}
FRAMES = InputSpec(modality="frames")


class TestContract(CorpusContract):
    data_class: ClassVar = "GSL"


class TestContractOfTheOtherScheme(CorpusContract):
    data_class: ClassVar = "GSL"
    data_arguments: ClassVar = {"split": "sd"}


class TestContractOfFrames(CorpusContract):
    data_class: ClassVar = "GSL"
    modality: ClassVar = "frames"
    simulation: ClassVar = {"samples": (3, 2, 2), "seed": 3, "render": ("frames",), "frame_size": (64, 48)}


class TestContractOfVideo(TestContractOfFrames):
    simulation: ClassVar = {**TestContractOfFrames.simulation, "render": ("video",)}


class TestContractOfFeatures(CorpusContract):
    data_class: ClassVar = "GSL"
    modality: ClassVar = "features"
    data_arguments: ClassVar = {"features": "simulated"}
    simulation: ClassVar = {"samples": (8, 4, 4), "seed": 3, "render": ("features",)}


@pytest.mark.parametrize("samples", [(3, 2, 2), (8, 4, 4), (60, 10, 20), (400, 40, 80)])
def test_one_simulated_tree_serves_both_schemes(samples, tmp_path, recwarn):
    root = simulate("GSL", tmp_path, samples, seed=1)
    si, sd = ({split: list(GSL(str(root), split=scheme).manifest(split)) for split in SPLITS} for scheme in COUNTS)
    assert {s.id for split in SPLITS for s in si[split]} == {s.id for split in SPLITS for s in sd[split]}
    assert not [w for w in recwarn if "in no list" in str(w.message) or "glosses of" in str(w.message)]
    for scheme in (si, sd):
        assert tuple(len(scheme[split]) for split in SPLITS) == samples
    assert {s.signer for split in ("dev", "test") for s in si[split]} == {"3"}
    assert {s.signer for s in si["train"]} == {"1", "2", "4", "5", "6", "7"} or samples[0] < 40
    assert {s.meta["repetition"] for s in si["dev"]} <= {1, 2} and {s.meta["repetition"] for s in si["test"]} <= {
        3,
        4,
        5,
    }
    glosses = {split: {s.gloss for s in sd[split]} for split in SPLITS}
    assert not glosses["train"] & glosses["dev"] | glosses["train"] & glosses["test"] | glosses["dev"] & glosses["test"]
    for split in ("dev", "test"):
        assert {g for gloss in glosses[split] for g in gloss} <= {g for gloss in glosses["train"] for g in gloss}
        assert {w for s in sd[split] for w in s.text.split()} <= {w for s in sd["train"] for w in s.text.split()}
    if samples[0] >= 400:
        assert all(len({s.signer for s in sd[split]}) == 7 for split in SPLITS)
        known = {s.gloss for s in si["train"]}
        assert all(s.gloss in known for split in ("dev", "test") for s in si[split]), "memorisable, as in the corpus"


# The real files.


@pytest.mark.parametrize("scheme", ["si", "sd"])
def test_the_real_files_are_joined(shared_data, scheme, recwarn):
    folder = shared_data / "gsl/GSL_continuous"
    lines = (folder / "annotations.csv").read_bytes().decode("utf-8").split("\n")
    rows = dict((line.split("|")[0], line.split("|")[1:]) for line in lines)
    data = GSL(str(shared_data / "gsl"), split=scheme)
    for split, count in COUNTS[scheme].items():
        listed = (folder / LISTS[scheme].format(split)).read_text("utf-8").split("\n")
        paths = [line.split("|")[0] for line in listed if line]
        manifest = data.manifest(split)
        assert len(manifest) == len(paths) == count
        for sample, path in zip(manifest, paths, strict=True):
            assert f"{sample.meta['scenario']}/{sample.id}" == path
            text, glosses = rows[sample.id]
            assert (sample.text, sample.references) == (text, (text,))
            assert sample.gloss == tuple(glosses.split()) and f"_signer{sample.signer}_" in path
    assert not [w for w in recwarn if "release" in str(w.message)], "counts and hashes are those of the release"


@pytest.mark.filterwarnings("ignore:.*spaces")
def test_real_glosses_that_differ_and_empty_texts(shared_data, recwarn):
    data = GSL(str(shared_data / "gsl"))
    empty = {split: sum(not sample.text.strip() for sample in data.manifest(split)) for split in SPLITS}
    told = [str(w.message) for w in recwarn if "glosses of" in str(w.message)]
    counts = [int(message.split("glosses of ")[1].split()[0]) for message in told]
    assert sum(counts) == 174 and "annotations.csv are used" in told[0]
    assert sum("5 samples of annotations.csv are in no list" in str(w.message) for w in recwarn) == 1
    assert sum(empty.values()) == 12, "kept, since a model of glosses can use them"


@pytest.mark.filterwarnings("ignore")
def test_signers_of_the_two_schemes(shared_data):
    signers = {
        scheme: {
            split: set(GSL(str(shared_data / "gsl"), split=scheme).manifest(split).column("signer")) for split in SPLITS
        }
        for scheme in ("si", "sd")
    }
    assert signers["si"]["dev"] == signers["si"]["test"] == {"3"} and "3" not in signers["si"]["train"]
    assert len(signers["sd"]["train"]) == len(signers["sd"]["test"]) == 7


NEEDS_TEXT = InputSpec(modality="none", needs=frozenset({"text"}))
NEEDS_GLOSS = InputSpec(modality="none", needs=frozenset({"gloss"}))
LEFT = {
    "si": {"train": 8811, "dev": 587, "test": 880},
    "sd": {"train": 8183, "dev": 1062, "test": 1038},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", ["si", "sd"])
def test_texts_that_are_empty_in_the_release_are_left_out_of_translation(shared_data, scheme):
    data = GSL(str(shared_data / "gsl"), split=scheme)
    assert {split: len(data.manifest(split)) for split in SPLITS} == COUNTS[scheme]
    gone = COUNTS[scheme]["dev"] - LEFT[scheme]["dev"]
    with pytest.warns(UserWarning, match=f"dev: {gone} of .* have an empty text in the release and are left out"):
        data.bind(NEEDS_TEXT, SPLITS)
    assert {split: len(data.manifest(split)) for split in SPLITS} == LEFT[scheme]
    assert all(text.strip() for split in SPLITS for text in data.manifest(split).column("text"))
    assert not data.partial and not data.skipped, "the corpus's own evaluation set, and nobody's choice"
    ids = data.score_notes("dev")["left_out"]["ids"]
    assert len(ids) == gone and not set(ids) & set(data.manifest("dev").ids)
    data.bind(NEEDS_GLOSS, SPLITS)
    assert {split: len(data.manifest(split)) for split in SPLITS} == COUNTS[scheme], "recognition has them"
    assert data.score_notes("dev") == {}


def test_scores_say_what_was_left_out(corpus, tmp_path):
    take = "health4_signer3_rep4_sentences"
    for name, line in {"test": f"health4/{take}/sentences0004|A\n"}.items():
        path = listed(corpus, name)
        path.write_text(path.read_text("utf-8") + line, encoding="utf-8")
    source = annotation(corpus)
    source.write_text(source.read_text("utf-8") + f"\n{take}/sentences0004| |A", encoding="utf-8")
    for split in SPLITS:
        for path, *_ in rows(split):
            file = corpus / f"features/mine/{path}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, np.ones((8, 4), np.float32))
    model = SignAttention(target="text", modality="features", d_model=8, nhead=2, dim_feedforward=16)
    data = GSL(str(corpus), features="mine")
    model.prepare(data)
    trainer = quick_trainer(tmp_path)
    trainer.test(model, datamodule=data, verbose=False)
    scored = model.scored["test"]
    assert scored.complete and len(scored.predictions) == scored.report.num_samples == 2
    assert scored.report.extra["left_out"]["ids"] == [f"{take}/sentences0004"]
    assert scored.report.extra["split_size"] == 2


@pytest.mark.filterwarnings("ignore")
def test_any_other_empty_text_stays_an_error_in_evaluation(corpus):
    change(annotation(corpus), "καλή μέρα test 1", "\u00a0")
    for policy in ("error", "skip"):
        with pytest.raises(ConfigError, match="no text for 1 of 2") as error:
            GSL(str(corpus), on_bad_sample=policy).bind(NEEDS_TEXT, ["test"])
        assert rows("test")[1][0] in str(error.value)


# Small copies.

TAKES = {"train": "police1_signer1_rep1_sentences", "dev": "kep2_signer3_rep1_sentences"}
TAKES["test"] = "health5_signer3_rep4_sentences"


def scenario(split):
    return TAKES[split].split("_")[0]


def rows(split):
    return [(f"{TAKES[split]}/sentences000{i}", f"καλή μέρα {split} {i}", f"ΚΑΛΟ ΜΕΡΑ({i})") for i in (0, 1)]


@pytest.fixture
def corpus(tmp_path):
    """Two sentences a split in the release's tree, both schemes alike."""
    root = tmp_path / "GSL"
    files = root / "GSL_continuous_files"
    for name in ("GSL_SI", "GSL_SD"):
        (files / name).mkdir(parents=True)
    every = [row for split in SPLITS for row in rows(split)]
    (files / "merged_continuous.csv").write_text("\n".join("|".join(row) for row in every), encoding="utf-8")
    for split in SPLITS:
        text = "".join(f"{scenario(split)}/{path}|{glosses}\n" for path, _, glosses in rows(split))
        for scheme, name in LISTS.items():
            (files / f"GSL_{scheme.upper()}" / name.format(split)).write_text(text, encoding="utf-8")
        for path, *_ in rows(split):
            folder = root / "GSL_continuous" / scenario(split) / path
            folder.mkdir(parents=True)
            (folder / "frame_0001.jpg").touch()
    return root


def change(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def listed(corpus, split="dev"):
    return corpus / "GSL_continuous_files/GSL_SI" / LISTS["si"].format(split)


def annotation(corpus):
    return corpus / "GSL_continuous_files/merged_continuous.csv"


@pytest.mark.filterwarnings("ignore:.*the release has", "ignore:.*also occur in train")
class TestCopies:
    @pytest.mark.parametrize("scheme", ["si", "sd"])
    def test_the_scenario_level_may_be_missing(self, corpus, scheme):
        data = GSL(str(corpus), split=scheme)
        data.bind(FRAMES, SPLITS)
        media = data.manifest("dev")[0].media["frames"]
        assert Path(media.path) == corpus / "GSL_continuous/kep2" / rows("dev")[0][0] and media.fps == 30
        for split in SPLITS:  # unpacked in one place
            take = corpus / "GSL_continuous" / scenario(split) / TAKES[split]
            take.rename(corpus / "GSL_continuous" / TAKES[split])
        data = GSL(str(corpus), split=scheme)
        data.bind(FRAMES, SPLITS)
        assert Path(data.manifest("dev")[0].media["frames"].path).is_dir()

    def test_samples(self, corpus):
        sample = GSL(str(corpus)).manifest("val")[1]
        assert (sample.id, sample.text, sample.gloss) == (rows("dev")[1][0], "καλή μέρα dev 1", ("ΚΑΛΟ", "ΜΕΡΑ(1)"))
        assert (sample.signer, sample.sign_language, sample.language) == ("3", "gss", "el")
        assert sample.meta == {"scenario": "kep2", "repetition": 1}

    def test_depth_images_are_not_taken(self, corpus):
        (corpus / "A_depth/kep2" / rows("dev")[0][0]).mkdir(parents=True)
        assert "A_depth" not in GSL(str(corpus)).manifest("dev")[0].media["frames"].path

    @pytest.mark.parametrize("folder", ["poses", "a"])
    def test_frames_are_found_beside_other_media_of_the_same_names(self, corpus, folder):
        for path, *_ in rows("dev"):
            file = corpus / folder / f"{path}.npy"  # nearer to the root than the frames
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, np.ones((5, 133, 3), np.float32))
        data = GSL(str(corpus))
        data.bind(FRAMES, SPLITS)
        assert ("pose" in data.manifest("dev")[0].media) == (folder == "poses")

    def test_annotated_samples_of_no_list_are_told(self, corpus):
        path, text, glosses = rows("dev")[0]
        other = path.replace("rep1", "rep6")
        annotation(corpus).write_text(f"{annotation(corpus).read_text('utf-8')}\n{other}|{text}|{glosses}", "utf-8")
        with pytest.warns(UserWarning, match=f"1 samples of .* in no list of split='si' and are left out: {other}"):
            assert other not in GSL(str(corpus)).manifest("dev").ids

    def test_other_names_of_the_lists(self, corpus):
        folder = corpus / "GSL_continuous_files/GSL_SD"
        (folder / "GSL_SD_dev.csv").rename(folder / "GSL-SD-dev.txt")
        assert len(GSL(str(corpus), split="sd").manifest("dev")) == 2

    @pytest.mark.parametrize("levels", ["", "dev", "kep2", "dev/kep2"])
    def test_poses_and_features(self, corpus, tmp_path, levels):
        for folder in ("poses", "features/mine"):
            for path, *_ in rows("dev"):
                file = corpus / folder / levels / f"{path}.npy"
                file.parent.mkdir(parents=True, exist_ok=True)
                np.save(file, np.ones((5, 133, 3) if folder == "poses" else (5, 4), np.float32))
        data = GSL(str(corpus), features="mine", poses=str(corpus / "poses"), pose_layout="wholebody133")
        data.bind(InputSpec(modality="features"), ["dev"])
        (batch,) = data.loader("dev")
        assert batch.features.values.shape == (10, 4) and batch.fps == [30.0, 30.0]
        data.bind(InputSpec(modality="pose"), ["dev"])
        assert data.manifest("dev")[0].media["pose"].layout == "wholebody133"

    def test_frames_of_some_samples_are_missing(self, corpus):
        folder = corpus / "GSL_continuous/police1" / rows("train")[1][0]
        (folder / "frame_0001.jpg").unlink()
        folder.rmdir()
        with pytest.raises(MissingMediaError, match="train: 1 of 2 samples have no frames") as error:
            GSL(str(corpus)).bind(FRAMES, ["train"])
        assert rows("train")[1][0] in str(error.value) and "archives of the scenarios" in str(error.value)

    def test_a_whole_take_is_missing(self, corpus):
        for path, *_ in rows("test"):
            folder = corpus / "GSL_continuous/health5" / path
            (folder / "frame_0001.jpg").unlink()
            folder.rmdir()
        (corpus / "GSL_continuous/health5" / TAKES["test"]).rmdir()
        with pytest.raises(MissingMediaError, match="test: 2 of 2 samples have no frames") as error:
            GSL(str(corpus)).bind(FRAMES, ["test"])
        assert f"health5/{TAKES['test']}" in str(error.value)

    def test_an_empty_text_is_kept_and_skipped_by_policy(self, corpus):
        change(annotation(corpus), "καλή μέρα train 1", "")
        with pytest.warns(UserWarning, match="1 samples have an empty text"):
            assert len(GSL(str(corpus)).manifest("train")) == 2
        spec = InputSpec(modality="frames", needs=frozenset({"text"}))
        with pytest.raises(ConfigError, match="no text for 1 of 2"):
            GSL(str(corpus)).bind(spec, ["train"])
        data = GSL(str(corpus), on_bad_sample="skip")
        data.bind(spec, ["train"])
        assert [*data.skipped] == ["train"] and [*data.skipped["train"]] == [rows("train")[1][0]]

    def test_the_annotation_decides_on_glosses(self, corpus):
        change(listed(corpus), "ΜΕΡΑ(1)", "ΜΕΡΑ(7)")
        with pytest.warns(UserWarning, match=r"glosses of 1 samples differ .* merged_continuous\.csv are used"):
            sample = GSL(str(corpus)).manifest("dev")[1]
        assert sample.gloss == ("ΚΑΛΟ", "ΜΕΡΑ(1)")

    def test_a_list_that_names_what_the_annotation_has_not(self, corpus):
        change(listed(corpus), "sentences0001", "sentences0099")
        with pytest.raises(AnnotationError, match="1 samples of the list of dev are not in the annotation") as error:
            GSL(str(corpus)).manifest("dev")
        assert "kep2_signer3_rep1_sentences/sentences0099" in str(error.value)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("|καλή μέρα train 1", "|x|καλή", "4 fields, expected 3"),
            (
                "rep1_sentences/sentences0001",
                "rep1_sentences/sentences0000",
                "occurs on lines 1 and 2, with different content",
            ),
            ("police1_signer1_rep1_sentences/", "", "not a path of GSL"),
        ],
    )
    def test_damage_of_the_annotation(self, corpus, old, new, message):
        change(annotation(corpus), old, new)
        with pytest.raises(AnnotationError, match=message) as error:
            GSL(str(corpus)).manifest("dev")
        assert str(annotation(corpus)) in str(error.value)

    def test_damage_of_a_list(self, corpus):
        change(listed(corpus), "|", ";")
        with pytest.raises(AnnotationError, match="expected 2"):
            GSL(str(corpus)).manifest("dev")

    def test_a_sample_twice_in_a_list(self, corpus):
        listed(corpus).write_text(listed(corpus).read_text("utf-8") * 2, encoding="utf-8")
        with pytest.warns(UserWarning, match="lines 1 and 3 are the same, and 1 more pairs; one is kept"):
            assert len(GSL(str(corpus)).manifest("dev")) == 2
        listed(corpus).write_text(listed(corpus).read_text("utf-8").replace("ΜΕΡΑ(1)", "ΜΕΡΑ(7)", 1), encoding="utf-8")
        with pytest.raises(AnnotationError, match="occurs on lines 2 and 4, with different content"):
            GSL(str(corpus)).manifest("dev")

    def test_a_sample_in_two_splits(self, corpus):
        listed(corpus, "test").write_bytes(listed(corpus).read_bytes())
        with pytest.raises(DatasetError, match="2 samples of test are also in dev"):
            GSL(str(corpus)).bind(InputSpec(modality="none"), SPLITS)


def test_the_wrong_root(corpus, tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"Greek Sign Language.*: no gsl_split_SI_dev\.csv") as error:
        GSL(str(corpus / "GSL_continuous")).manifest("dev")
    assert "there: health5, kep2, police1" in str(error.value)
    annotation(corpus).unlink()
    with pytest.raises(DatasetNotFoundError, match=r"no merged_continuous\.csv or annotations\.csv"):
        GSL(str(corpus)).manifest("dev")
    with pytest.raises(DatasetNotFoundError, match="no such folder"):
        GSL(str(tmp_path / "none")).manifest("dev")


def test_counts_unlike_the_published_ones_are_told(corpus):
    for scheme, counts in COUNTS.items():
        with pytest.warns(UserWarning, match=f"dev: 2 samples, the release has {counts['dev']}"):
            GSL(str(corpus), split=scheme).manifest("dev")


def test_an_unknown_scheme(tmp_path):
    with pytest.raises(ConfigError, match="split must be 'si' or 'sd'"):
        GSL(str(tmp_path), split="dev")


def test_a_sample_in_two_places_is_a_question(simulated, tmp_path):
    root = simulated("GSL", samples=(3, 2, 2), seed=3, render=())
    first, *others = GSL(str(root)).manifest("train").ids
    for k, scenario in enumerate(("a", "b")):
        for i in (first, *others):
            path = tmp_path / scenario / f"{i}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.full((4, 6), k, np.float32))
    with pytest.raises(MediaError, match=f"sample {first} lies in 2 places: which one") as error:
        GSL(str(root), features=str(tmp_path)).manifest("train")
    assert all(repr(str(tmp_path / scenario / f"{first}.npy")) in str(error.value) for scenario in "ab")
    for i in others:  # the halves of a take may lie apart
        (tmp_path / "a" / f"{i}.npy").unlink()
    (tmp_path / "b" / f"{first}.npy").unlink()
    found = {s.id: s.media["features"].path for s in GSL(str(root), features=str(tmp_path)).manifest("train")}
    assert found == {i: str(tmp_path / ("a" if i == first else "b") / f"{i}.npy") for i in (first, *others)}


def test_key_points_below_the_root_are_no_second_place_of_images(tmp_path):
    root = simulate("GSL", tmp_path, (2, 1, 1), seed=3, render=("frames",), frame_size=(64, 48))
    (before,) = (s.media["frames"].path for s in GSL(str(root)).manifest("test"))
    sample = GSL(str(root)).manifest("test")[0].id
    points = Path(GSL(str(root)).root) / "A_points" / sample
    points.mkdir(parents=True)
    (points / "x_000000000000_keypoints.json").touch()
    (after,) = (s.media["frames"].path for s in GSL(str(root)).manifest("test"))
    assert after == before
    (points / "000001.png").touch()
    with pytest.raises(MediaError, match="lies in 2 places"):
        GSL(str(root)).manifest("test")


def test_two_endings_of_a_sentence_are_told(simulated, tmp_path):
    root = simulated("GSL", samples=(3, 2, 2), seed=3, render=())
    for i in GSL(str(root)).manifest("train").ids:
        for ending in (".npy", ".pt"):
            path = tmp_path / f"{i}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    with pytest.warns(UserWarning, match=r"sentences\d+\.pt is not read, and perhaps others: files \.npy"):
        GSL(str(root), features=str(tmp_path)).manifest("train")

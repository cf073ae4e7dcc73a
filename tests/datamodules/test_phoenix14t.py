"""PHOENIX14T: the real annotation, the contract of all corpora, and every damage of an annotation file."""

from __future__ import annotations

import gzip
import json
import shutil
import unicodedata
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from slt_zoo import How2Sign, InputSpec, Phoenix14T
from slt_zoo.errors import AnnotationError, ConfigError, DatasetError, DatasetNotFoundError, MissingMediaError
from slt_zoo.testing import CorpusContract, simulated
from slt_zoo.types import SPLITS, ClipPipeline

__all__ = ["simulated"]  # a fixture

COUNTS = {"train": 7096, "dev": 519, "test": 642}
HEADER = "name|video|start|end|speaker|orth|translation"
POSE = InputSpec(modality="pose")


class TestContract(CorpusContract):
    data_class: ClassVar = "Phoenix14T"


class TestContractOfFrames(CorpusContract):
    data_class: ClassVar = "Phoenix14T"
    modality: ClassVar = "frames"
    simulation: ClassVar = {"samples": (3, 2, 2), "seed": 3, "render": ("frames",), "frame_size": (52, 64)}


class TestContractOfVideo(TestContractOfFrames):
    simulation: ClassVar = {**TestContractOfFrames.simulation, "render": ("video",)}


class TestContractOfFeatures(CorpusContract):
    data_class: ClassVar = "Phoenix14T"
    modality: ClassVar = "features"
    data_arguments: ClassVar = {"features": "simulated"}
    simulation: ClassVar = {"samples": (8, 4, 4), "seed": 3, "render": ("features",)}


# The real files.


@pytest.mark.parametrize("level", ["", "PHOENIX-2014-T-release-v3", "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"])
def test_the_real_annotation_is_whole(shared_data, level, recwarn):
    root = shared_data / "phoenix14t"
    data = Phoenix14T(str(root / level))
    for split, count in COUNTS.items():
        path = root / f"PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual/PHOENIX-2014-T.{split}.corpus.csv"
        lines = path.read_bytes().decode("utf-8").split("\n")[1:-1]
        manifest = data.manifest(split)
        assert len(manifest) == len(lines) == count
        for sample, line in zip(manifest, lines, strict=True):
            name, _, _, _, speaker, orth, text = line.split("|")
            assert (sample.id, sample.text, sample.references) == (name, text, (text,))
            assert (" ".join(sample.gloss), sample.signer) == (orth, speaker)
    assert not [w for w in recwarn if "release" in str(w.message)], "counts and hashes are those of the release"


def test_three_sources_agree(shared_data):
    data = Phoenix14T(str(shared_data / "phoenix14t"))
    for split in SPLITS:
        path = shared_data / f"phoenix14t/variants/signjoey_annotations.{split}.jsonl.gz"
        theirs = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for ours, row in zip(data.manifest(split), theirs, strict=True):
            assert row["name"] == f"{split}/{ours.id}" and row["text"].removesuffix(" .").strip() == ours.text


def test_the_complex_annotation_is_refused(shared_data, tmp_path):
    folder = tmp_path / "annotations/manual"
    folder.mkdir(parents=True)
    name = "PHOENIX-2014-T.train-complex-annotation.corpus.csv.gz"
    source = shared_data / "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual" / name
    (folder / "PHOENIX-2014-T.train.corpus.csv").write_bytes(gzip.decompress(source.read_bytes()))
    with pytest.raises(AnnotationError, match="complex annotation"):
        Phoenix14T(str(tmp_path)).manifest("train")


MANUAL = "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual"


@pytest.fixture
def with_complex(shared_data, tmp_path):
    """The real annotations of train and dev, and the complex one of train."""
    folder = tmp_path / "annotations/manual"
    folder.mkdir(parents=True)
    for split in ("train", "dev"):
        shutil.copy(shared_data / MANUAL / f"PHOENIX-2014-T.{split}.corpus.csv", folder)
    name = "PHOENIX-2014-T.train-complex-annotation.corpus.csv"
    (folder / name).write_bytes(gzip.decompress((shared_data / MANUAL / f"{name}.gz").read_bytes()))
    return tmp_path


def test_the_complex_annotation_is_taken_where_it_is_asked_for(with_complex, recwarn):
    plain = Phoenix14T(str(with_complex))
    data = Phoenix14T(str(with_complex), complex_annotation=True)
    train = data.manifest("train")
    assert train.ids == plain.manifest("train").ids
    assert [s.text for s in train] == [f"{s.text} ." for s in plain.manifest("train")]
    glosses = [gloss for sample in train for gloss in sample.gloss]
    assert (glosses.count("__ON__"), glosses.count("__OFF__")) == (2560, 2753)
    assert sum(gloss.startswith("loc-") for gloss in glosses) == 2242
    told = [str(w.message) for w in recwarn]
    assert [t for t in told if "not comparable" in t] and not [t for t in told if "not those of the release" in t]
    assert list(data.manifest("dev")) == list(plain.manifest("dev")), "it exists for train alone"
    assert "not comparable" in data.score_notes("dev")["complex_annotation"]
    assert "complex_annotation" not in plain.score_notes("dev")


@pytest.mark.parametrize("value", ["false", "true", None, 0, 1])
def test_what_is_no_bool_is_not_taken_for_one(tmp_path, value):
    for cls, name in ((Phoenix14T, "complex_annotation"), (Phoenix14T, "bucket"), (How2Sign, "repair_text")):
        with pytest.raises(ConfigError, match=f"{name} is True or False"):
            cls(str(tmp_path), **{name: value})


def test_the_plain_annotation_is_not_taken_for_the_complex_one(with_complex):
    folder = with_complex / "annotations/manual"
    path = folder / "PHOENIX-2014-T.train-complex-annotation.corpus.csv"
    shutil.copy(folder / "PHOENIX-2014-T.train.corpus.csv", path)
    with pytest.raises(AnnotationError, match="this is not the complex annotation"):
        Phoenix14T(str(with_complex), complex_annotation=True).manifest("train")
    path.unlink()
    with pytest.raises(DatasetNotFoundError, match="the complex annotation of train is missing"):
        Phoenix14T(str(with_complex), complex_annotation=True).manifest("train")


def test_other_glosses_are_told_apart_by_their_hash(shared_data, tmp_path):
    source = shared_data / "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual"
    folder = tmp_path / "annotations/manual"
    shutil.copytree(source, folder)
    path = folder / "PHOENIX-2014-T.dev.corpus.csv"
    path.write_text(path.read_text("utf-8").replace("REGEN", "NIESELN", 1), encoding="utf-8")
    with pytest.warns(UserWarning, match="not those of the release"):
        Phoenix14T(str(tmp_path)).manifest("dev")


@pytest.mark.parametrize(
    ("labels", "message"),
    [("gfslt_labels", "the glosses of GFSLT-VLP's labels"), ("signjoey_annotations", "the texts of signjoey's labels")],
)
@pytest.mark.parametrize("split", SPLITS)
def test_the_labels_of_baselines_are_told_by_name(shared_data, tmp_path, labels, message, split):
    path = shared_data / f"phoenix14t/variants/{labels}.{split}.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().split("\n") if line]
    (tmp_path / "annotations/manual").mkdir(parents=True)
    lines = [f"{r['name']}||-1|-1|S|{r['gloss']}|{r['text']}" for r in rows]
    annotation(tmp_path, split).write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    with pytest.warns(
        UserWarning, match=f"{split}: texts or glosses are not those of the release .* these are {message}"
    ):
        Phoenix14T(str(tmp_path)).manifest(split)


def test_real_frames_missing_and_present(shared_data):
    data = Phoenix14T(str(shared_data / "phoenix14t"))
    with pytest.raises(MissingMediaError, match="641 of 642 samples have no frames"):
        data.bind(InputSpec(modality="frames"), ["test"])
    with pytest.raises(MissingMediaError, match="7096 of 7096 samples have no frames") as error:
        data.bind(InputSpec(modality="frames"), ["train"])
    assert "unpack the frames" in str(error.value) and "skip" not in str(error.value), "nothing would be left"


def test_skeletons_of_the_real_corpus(shared_data):
    folder = str(shared_data / "poses/phoenix14t_skels")
    data = Phoenix14T(str(shared_data / "phoenix14t"), poses=folder, subset=folder, batch_size=5)
    data.bind(POSE, SPLITS)
    for split in SPLITS:
        (batch,) = data.loader(split)
        assert len(batch) == 5 and batch.pose.values.shape[1:] == (50, 3)
        texts = (shared_data / f"poses/phoenix14t_skels/{split}.text").read_text("utf-8").splitlines()
        assert [t + " ." for t in batch.text] == texts, "the companion file appends a full stop"


# Damaged and unusual copies.


@pytest.fixture
def corpus(tmp_path):
    """Two samples a split with features of four numbers."""
    folder = tmp_path / "PHOENIX-2014-T"
    (folder / "annotations/manual").mkdir(parents=True)
    for split in SPLITS:
        rows = [f"{split}-{i}|{split}-{i}/1/*.png|-1|-1|Signer0{i}|REGEN NORD|regen im norden {i}" for i in (1, 2)]
        annotation(folder, split).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
        (folder / "features/mine" / split).mkdir(parents=True)
        for i in (1, 2):
            np.save(folder / f"features/mine/{split}/{split}-{i}.npy", np.ones((6, 4), np.float32))
    return folder


def annotation(folder: Path, split: str) -> Path:
    return folder / f"annotations/manual/PHOENIX-2014-T.{split}.corpus.csv"


def change(folder: Path, split: str, old: str, new: str) -> None:
    path = annotation(folder, split)
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def ids(folder: Path, split: str = "train") -> list[str]:
    return Phoenix14T(str(folder)).manifest(split).ids


@pytest.mark.filterwarnings("ignore:.*the release has")
class TestAnnotation:
    def test_harmless_variants_give_the_same_samples(self, corpus):
        expected = list(Phoenix14T(str(corpus)).manifest("train"))
        path = annotation(corpus, "train")
        plain = path.read_bytes()
        variants = {
            "byte-order mark": b"\xef\xbb\xbf" + plain,
            "CRLF": plain.replace(b"\n", b"\r\n"),
            "no header": plain.split(b"\n", 1)[1],
            "no newline at the end": plain.rstrip(b"\n"),
        }
        for name, content in variants.items():
            path.write_bytes(content)
            assert list(Phoenix14T(str(corpus)).manifest("train")) == expected, name

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("|regen im norden 2", "|regen|im norden 2", "line 3: 8 fields, expected 7"),
            ("|regen im norden 2", "", "line 3: 6 fields, expected 7"),
            ("train-2|train-2/1/*.png|-1|", "train-2|train-2/1/*.png|x|", "line 3: start is no number"),
            ("train-2|train-2/", "train-1|train-1/", "occurs on lines 2 and 3"),
            ("train-2|", "train-1|", "line 3: name and video are of different samples"),
            ("train-2|", "dev/train-2|", "line 3: a name of dev in the file of train"),
            ("train-2|", "|", "line 3: the name is empty"),
            ("regen im norden 2", "regen \0", "NUL"),
            ("REGEN NORD", "__ON__ REGEN", "complex annotation"),
            (HEADER, HEADER.replace("orth", "gloss"), "names other columns"),
        ],
    )
    def test_damage_names_file_and_line(self, corpus, old, new, message):
        change(corpus, "train", old, new)
        with pytest.raises(AnnotationError, match=message.replace("|", r"\|")) as error:
            ids(corpus)
        assert str(annotation(corpus, "train")) in str(error.value)

    def test_another_delimiter_is_recognised(self, corpus):
        path = annotation(corpus, "train")
        path.write_text(path.read_text("utf-8").replace("|", ";"), encoding="utf-8")
        with pytest.raises(AnnotationError, match="header has 1 column; expected 7") as error:
            ids(corpus)
        assert "semicolon-separated" in str(error.value)

    def test_latin_1_is_recognised(self, corpus):
        change(corpus, "train", "regen im norden 2", "regen im süden")
        path = annotation(corpus, "train")
        path.write_bytes(path.read_text("utf-8").encode("latin-1"))
        with pytest.raises(AnnotationError, match=r"not UTF-8 \(byte 0xfc at \d+, line 3\): looks like Latin-1"):
            ids(corpus)

    def test_an_empty_file(self, corpus):
        annotation(corpus, "train").write_bytes(b"")
        with pytest.raises(AnnotationError, match="empty"):
            ids(corpus)

    def test_a_row_that_stands_twice_is_kept_once(self, corpus):
        change(corpus, "train", "train-2|train-2/1/*.png|-1|-1|Signer02|REGEN NORD|regen im norden 2\n", "")
        path = annotation(corpus, "train")
        path.write_text(path.read_text("utf-8") + path.read_text("utf-8").split("\n")[1] + "\n", encoding="utf-8")
        with pytest.warns(UserWarning, match="lines 2 and 3 are the same"):
            assert ids(corpus) == ["train-1"]

    def test_names_with_the_split_in_front(self, corpus):
        change(corpus, "dev", "dev-1|", "dev/dev-1|")
        assert ids(corpus, "dev") == ["dev-1", "dev-2"]

    def test_odd_spaces_are_counted_and_kept(self, corpus):
        change(corpus, "train", "regen im norden 2", "regen\u00a0im  norden ")
        with pytest.warns(UserWarning, match="1 texts have outer, doubled, no-break or zero-width spaces"):
            sample = Phoenix14T(str(corpus)).manifest("train")[1]
        assert sample.references == ("regen\u00a0im  norden ",)

    def test_the_wrong_root(self, corpus, tmp_path):
        with pytest.raises(DatasetNotFoundError) as error:
            ids(tmp_path / "PHOENIX-2014-T/features")
        message = str(error.value)
        assert "PHOENIX-2014-T.train.corpus.csv" in message and "there: mine" in message and "data.root" in message

    def test_a_missing_split_file(self, corpus):
        annotation(corpus, "test").unlink()
        with pytest.raises(DatasetNotFoundError, match="annotation of test is missing"):
            ids(corpus, "test")

    def test_split_names(self, corpus):
        assert ids(corpus, "val") == ids(corpus, "validation") == ids(corpus, "dev")
        with pytest.raises(ConfigError, match="unknown split 'tset'") as error:
            ids(corpus, "tset")
        assert "did you mean 'test'" in str(error.value)


@pytest.mark.filterwarnings("ignore:.*the release has", "ignore:.*also occur in train")
class TestBinding:
    SPEC = InputSpec(modality="features")

    def data(self, corpus, **arguments) -> Phoenix14T:
        return Phoenix14T(str(corpus), features="mine", **arguments)

    def test_counts_unlike_the_published_ones_are_told(self, corpus):
        with pytest.warns(UserWarning, match="dev: 2 samples, the release has 519"):
            self.data(corpus).manifest("dev")

    def test_missing_media_of_some_samples(self, corpus):
        (corpus / "features/mine/train/train-2.npy").unlink()
        with pytest.raises(MissingMediaError, match="train: 1 of 2 samples have no features") as error:
            self.data(corpus).bind(self.SPEC, ["train"])
        assert "missing for train-2" in str(error.value) and "goes on with 1" in str(error.value)
        data = self.data(corpus, on_bad_sample="skip")
        with pytest.warns(UserWarning, match="1 samples without features are skipped"):
            data.bind(self.SPEC, ["train"])
        assert data.manifest("train").ids == ["train-1"] and data.skipped == {"train": {"train-2": "without features"}}

    def test_evaluation_never_skips(self, corpus):
        (corpus / "features/mine/test/test-2.npy").unlink()
        with pytest.raises(MissingMediaError, match="test: 1 of 2"):
            self.data(corpus, on_bad_sample="skip").bind(self.SPEC, ["test"])

    def test_no_media_at_all(self, corpus):
        with pytest.raises(MissingMediaError, match="2 of 2 samples have no pose") as error:
            self.data(corpus).bind(POSE, ["train"])
        assert "data.poses" in str(error.value)

    def test_a_sample_in_two_splits(self, corpus):
        change(corpus, "dev", "dev-1|dev-1/", "train-1|train-1/")
        with pytest.raises(DatasetError, match="1 samples of dev are also in train"):
            self.data(corpus).bind(InputSpec(modality="none"), SPLITS)

    def test_equal_texts_across_splits_are_told(self, corpus):
        with pytest.warns(UserWarning, match="2 of 2 texts of dev also occur in train"):
            self.data(corpus).bind(self.SPEC, ["train", "dev"])

    def test_an_empty_translation(self, corpus):
        change(corpus, "train", "regen im norden 2", "")
        spec = InputSpec(modality="features", needs=frozenset({"text"}))
        with pytest.raises(ConfigError, match=r"needs text; Phoenix14T train .* has no text for 1 of 2"):
            self.data(corpus).bind(spec, ["train"])
        self.data(corpus).bind(InputSpec(modality="features", needs=frozenset({"gloss"})), ["train"])
        data = self.data(corpus, on_bad_sample="skip")
        data.bind(spec, ["train"])
        assert data.skipped == {"train": {"train-2": "with an empty text, gloss or question"}}

    def test_what_the_model_needs_and_the_corpus_has_not(self, corpus):
        for need, advice in {"question": "question-answering", "segments": "data.segments"}.items():
            with pytest.raises(ConfigError, match=f"SAGE needs {need}") as error:
                self.data(corpus).bind(InputSpec(modality="features", needs=frozenset({need})), ["train"], "SAGE")
            assert advice in str(error.value) and str(corpus) in str(error.value)

    def test_a_sample_that_breaks_while_training(self, corpus):
        (corpus / "features/mine/train/train-2.npy").write_bytes(b"no array")
        data = self.data(corpus, batch_size=2, on_bad_sample="skip")
        data.bind(self.SPEC, ["train"])
        (batch,) = data.loader("train", training=True)
        assert batch.id == ["train-1"] and list(batch.skipped) == ["train-2"]
        assert "train-2.npy" in batch.skipped["train-2"] and "\n" not in batch.skipped["train-2"]
        data = self.data(corpus, batch_size=2)
        data.bind(self.SPEC, ["train"])
        with pytest.raises(DatasetError, match="train-2"):
            list(data.loader("train", training=True))

    def test_a_loader_before_binding(self, corpus):
        with pytest.raises(ConfigError, match=r"data\.bind"):
            self.data(corpus).loader("train")

    @pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"train_fraction": 0.0}, {"train_fraction": 1.5}])
    def test_arguments_out_of_range(self, corpus, arguments):
        with pytest.raises(ConfigError):
            self.data(corpus, **arguments)

    def test_subsets(self, corpus, tmp_path):
        lists = tmp_path / "lists"
        lists.mkdir()
        with pytest.raises(DatasetError, match="no list of ids"):
            self.data(corpus, subset=str(lists)).manifest("train")
        (lists / "train.txt").write_text("train/train-2\n")
        data = self.data(corpus, subset=str(lists))
        assert data.manifest("train").ids == ["train-2"] and len(data.manifest("dev")) == 2
        (lists / "train.txt").write_text("train-9\n")
        with pytest.raises(DatasetError, match="not in the corpus"):
            self.data(corpus, subset=str(lists)).manifest("train")

    def test_a_fraction_of_train_is_the_same_each_time(self, corpus):
        chosen = {tuple(self.data(corpus, train_fraction=0.5).manifest("train").ids) for _ in range(3)}
        assert len(chosen) == 1 and len(chosen.pop()) == 1
        assert len(self.data(corpus, train_fraction=0.5).manifest("dev")) == 2

    def test_decomposed_file_names_are_found(self, corpus):
        for split in ("train",):
            change(corpus, split, "train-1|train-1/", "schön|schön/")
            old = corpus / "features/mine/train/train-1.npy"
            old.rename(old.with_name(unicodedata.normalize("NFD", "schön.npy")))
        data = self.data(corpus)
        data.bind(self.SPEC, ["train"])
        assert next(iter(data.loader("train"))).id[0] == "schön"


def test_random_draws_repeat_with_seed_epoch_and_sample(simulated):
    root = simulated("Phoenix14T", samples=(8, 4, 4), seed=3)

    def draw(clip, rng):
        clip.pose = torch.tensor([[[rng.random()]]])
        clip.conf = torch.ones(1, 1)
        return clip

    spec = InputSpec(modality="pose", train=ClipPipeline(transform=draw))

    def epoch(number: int, **arguments) -> dict[str, float]:
        data = Phoenix14T(str(root), **arguments)
        data.bind(spec, ["train"])
        loader = data.loader("train", training=True)
        loader.sampler.set_epoch(number)
        return {i: v for b in loader for i, v in zip(b.id, b.pose.values.flatten().tolist(), strict=True)}

    assert epoch(0, batch_size=2) == epoch(0, batch_size=4)
    assert epoch(0) != epoch(1) and epoch(0) != epoch(0, seed=1)

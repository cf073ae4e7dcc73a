"""CSL-Daily: the real annotation in both text versions, small trees in the official layout, and their damages."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from slt_zoo import CSLDaily, InputSpec
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, MissingMediaError
from slt_zoo.synthetic import simulate
from slt_zoo.testing import CorpusContract, simulated
from slt_zoo.types import SPLITS

__all__ = ["simulated"]  # a fixture

HEADER = "index|name|length|gloss|char|word|postag"
IDS = {"train": ["S000001_P0000_T00", "S000001_P0004_T00"], "dev": ["S000002_P0001_T00"], "test": ["S000003_P0002_T00"]}
ALL = [i for split in SPLITS for i in IDS[split]]
pytestmark = pytest.mark.filterwarnings("ignore:.*the release has", "ignore:.*also occur in train")


class TestContract(CorpusContract):
    data_class: ClassVar = "CSLDaily"


class TestContractOfFrames(CorpusContract):
    data_class: ClassVar = "CSLDaily"
    modality: ClassVar = "frames"
    simulation: ClassVar = {"samples": (3, 2, 2), "seed": 3, "render": ("frames",), "frame_size": (64, 48)}


class TestContractOfVideo(TestContractOfFrames):
    simulation: ClassVar = {**TestContractOfFrames.simulation, "render": ("video",)}


class TestContractOfFeatures(CorpusContract):
    data_class: ClassVar = "CSLDaily"
    modality: ClassVar = "features"
    data_arguments: ClassVar = {"features": "simulated"}
    simulation: ClassVar = {"samples": (8, 4, 4), "seed": 3, "render": ("features",)}


def test_table_and_pickle_of_a_simulated_tree_are_the_same_samples(tmp_path):
    root = simulate("CSLDaily", tmp_path, (30, 4, 6), seed=1)
    table = [list(CSLDaily(str(root)).manifest(split)) for split in SPLITS]
    label(root / "CSL-Daily").unlink()
    assert [list(CSLDaily(str(root)).manifest(split)) for split in SPLITS] == table


def write_corpus(root: Path) -> Path:
    """``CSL-Daily`` with four sentences; features of four numbers."""
    folder = root / "CSL-Daily"
    (folder / "sentence_label").mkdir(parents=True)
    (folder / "features/mine").mkdir(parents=True)
    lines = [f"{i}|{split}" for split in SPLITS for i in IDS[split]]
    (folder / "sentence_label/split_1.txt").write_text("\n".join(["name|split", *lines, ""]), encoding="utf-8")
    rows = [f"{n:06}|{i}|3|我 书 {n}|我 有 {n} 本 书 。|我 有 {n} 本 书 。|r v m q n w" for n, i in enumerate(ALL)]
    (folder / "sentence_label/video_map.txt").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    for i in ALL:
        np.save(folder / f"features/mine/{i}.npy", np.ones((3, 4), np.float32))
    return folder


def write_frames(folder: Path, number: int = 3) -> None:
    for i in ALL:
        (folder / i).mkdir(parents=True)
        for k in range(number):
            Image.new("RGB", (16, 16), (k, 0, 0)).save(folder / i / f"{k:06}.jpg")


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path)


def label(folder: Path, name: str = "video_map.txt") -> Path:
    return folder / "sentence_label" / name


def pickled(folder: Path) -> None:
    """Replace video_map.txt by the pickle of the release."""
    info = [
        {"name": i, "signer": 7, "time": 0, "length": 3, "label_gloss": ["我"], "label_char": ["书", "。"]} for i in ALL
    ]
    label(folder, "csl2020ct_v2.pkl").write_bytes(pickle.dumps({"info": info, "gloss_map": []}))
    label(folder).unlink()


def test_samples(corpus):
    for root in (corpus, corpus.parent):
        data = CSLDaily(str(root))
        assert [data.manifest(split).ids for split in SPLITS] == [IDS[split] for split in SPLITS]
    sample = data.manifest("dev")[0]
    assert (sample.text, sample.references, sample.gloss) == ("我有2本书。", ("我有2本书。",), ("我", "书", "2"))
    assert (sample.signer, sample.language, sample.sign_language) == ("1", "zh", "csl")
    assert sample.meta == {"text_version": "smoothed", "num_frames": 3}


def test_the_pickle_where_there_is_no_table(corpus):
    pickled(corpus)
    sample = CSLDaily(str(corpus)).manifest("train")[0]
    assert (sample.text, sample.signer, sample.meta["num_frames"]) == ("书。", "7", 3)


def test_split_lists_one_a_split(corpus):
    label(corpus, "split_1.txt").unlink()
    for split in SPLITS:
        label(corpus, f"split_1_{split}.txt").write_text("\n".join(IDS[split]), encoding="utf-8")
    assert CSLDaily(str(corpus)).manifest("train").ids == IDS["train"]
    label(corpus, "split_1_dev.txt").unlink()
    with pytest.raises(DatasetNotFoundError, match="split file of dev is missing"):
        CSLDaily(str(corpus)).manifest("train")


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "pickles"])
def test_the_other_text_version(corpus, kind):
    rows = [{"name": i, "signer": 0, "num_frames": 3, "gloss": "我 书", "text": "我 的 书 。"} for i in ALL]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    if kind == "jsonl":
        label(corpus, "annotations_cvpr21_text.jsonl").write_bytes(lines)
    elif kind == "jsonl.gz":
        (corpus / "annotations_cvpr21_text.jsonl.gz").write_bytes(gzip.compress(lines))
    else:
        for split in SPLITS:
            part = [row for row in rows if row["name"] in IDS[split]]
            label(corpus, f"csl-daily.{split}").write_bytes(gzip.compress(pickle.dumps(part)))
    sample = CSLDaily(str(corpus), text_version="cvpr21").manifest("test")[0]
    assert (sample.text, sample.gloss, sample.meta["text_version"]) == ("我的书。", ("我", "书"), "cvpr21")
    assert CSLDaily(str(corpus)).manifest("test")[0].text == "我有3本书。"


def test_a_text_version_that_is_not_there(corpus):
    with pytest.raises(DatasetNotFoundError, match="text version 'cvpr21' is not here") as error:
        CSLDaily(str(corpus), text_version="cvpr21").manifest("dev")
    assert "annotations_cvpr21_text.jsonl" in str(error.value) and "text_version=smoothed" in str(error.value)
    assert "Papers (SLRT, CV-SLT, Uni-Sign" in str(error.value) and "use cvpr21" in str(error.value)
    label(corpus).unlink()
    with pytest.raises(DatasetNotFoundError, match="'smoothed' is not here"):
        CSLDaily(str(corpus)).manifest("dev")
    pickled_again = {"info": [], "gloss_map": []}
    label(corpus, "csl2020ct_v2.pkl").write_bytes(pickle.dumps(pickled_again))
    with pytest.raises(DatasetNotFoundError, match="'cvpr21' is not here"):
        CSLDaily(str(corpus), text_version="cvpr21").manifest("dev")
    with pytest.raises(ConfigError, match="unknown text_version"):
        CSLDaily(str(corpus), text_version="v2")


def test_ids_of_one_file_alone_are_told_once(corpus, recwarn):
    path = label(corpus)
    path.write_text(path.read_text("utf-8").replace(IDS["train"][0], "S000009_P0000_T00"), encoding="utf-8")
    data = CSLDaily(str(corpus))
    assert [len(data.manifest(split)) for split in SPLITS] == [1, 1, 1]
    told = [str(w.message) for w in recwarn if "split file and annotation differ" in str(w.message)]
    assert len(told) == 1 and IDS["train"][0] in told[0] and "S000009_P0000_T00" in told[0]


def test_damage(corpus):
    path, plain = label(corpus), label(corpus).read_text("utf-8")
    for old, new, message in [
        ("|r v m q n w", "", "6 fields, expected 7"),
        ("|3|", "|x|", "not a whole number of frames"),
        (IDS["train"][1], IDS["train"][0], "occurs on lines 2 and 3, with different content"),
    ]:
        path.write_text(plain.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(AnnotationError, match=message) as error:
            CSLDaily(str(corpus)).manifest("train")
        assert str(path) in str(error.value)
    path.write_text("\n".join(line for line in plain.split("\n") if IDS["dev"][0] not in line), encoding="utf-8")
    with pytest.warns(UserWarning, match="differ"), pytest.raises(AnnotationError, match="no sample of dev is annot"):
        CSLDaily(str(corpus)).manifest("dev")


@pytest.mark.filterwarnings("ignore:.*split file and annotation differ")
def test_rows_that_stand_twice(corpus):
    path, lines = label(corpus), label(corpus).read_text("utf-8").split("\n")
    path.write_text("\n".join([*lines[:-1], lines[1], ""]), encoding="utf-8")
    with pytest.warns(UserWarning, match="lines 2 and 6 are the same; one is kept"):
        assert CSLDaily(str(corpus)).manifest("train").ids == IDS["train"]
    path.write_text("\n".join([*lines[:-1], lines[1].replace("书", "车"), ""]), encoding="utf-8")
    with pytest.raises(AnnotationError, match="occurs on lines 2 and 6, with different content") as error:
        CSLDaily(str(corpus)).manifest("train")
    assert IDS["train"][0] in str(error.value) and str(path) in str(error.value)


@pytest.mark.filterwarnings("ignore:.*split file and annotation differ")
def test_tables_without_header(corpus):
    expected = {split: list(CSLDaily(str(corpus)).manifest(split)) for split in SPLITS}
    for name in ("video_map.txt", "split_1.txt"):
        path = label(corpus, name)
        path.write_text(path.read_text("utf-8").split("\n", 1)[1], encoding="utf-8")
    assert {split: list(CSLDaily(str(corpus)).manifest(split)) for split in SPLITS} == expected
    path = label(corpus)
    path.write_text(path.read_text("utf-8").replace("|r v m q n w", "|你 有 几 本 书 ？", 1), encoding="utf-8")
    with pytest.raises(AnnotationError, match="line 1: without a header this could be a file of questions") as error:
        CSLDaily(str(corpus)).manifest("train")
    assert str(path) in str(error.value) and HEADER in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("|dev", "|tset", "line 4: unknown split 'tset'"),
        ("|dev", "", "line 4: no split"),
        ("|dev", "|", "line 4: no split"),
        ("|dev", "|dev|x", "line 4: 3 fields, expected 2"),
        (f"{IDS['dev'][0]}|dev", f"{IDS['train'][0]}|dev", "is in train on line 2 and in dev on line 4"),
        (IDS["dev"][0], "S1_P1_T0", "'S1_P1_T0' is no name of CSL-Daily"),
        (f"{IDS['dev'][0]}|dev\n", "name|split\n", "'name' is no name of CSL-Daily"),
    ],
)
def test_damage_of_the_split_file(corpus, old, new, message):
    path = label(corpus, "split_1.txt")
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(AnnotationError, match=re.escape(message)) as error:
        CSLDaily(str(corpus)).manifest("dev")
    assert str(path) in str(error.value) and "line" in str(error.value)


def test_lines_of_the_split_file_that_stand_twice(corpus):
    path = label(corpus, "split_1.txt")
    path.write_text(path.read_text("utf-8") + f"{IDS['dev'][0]}|val\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="1 lines stand twice, first line 6; one is kept"):
        assert CSLDaily(str(corpus)).manifest("dev").ids == IDS["dev"]


def test_words_of_another_text_are_told(corpus):
    path = label(corpus)
    path.write_text(path.read_text("utf-8").replace("本 书 。|r v", "本 车 。|r v", 1), encoding="utf-8")
    with pytest.warns(
        UserWarning, match="1 rows have other characters in their words than in their text, first line 2"
    ):
        assert CSLDaily(str(corpus)).manifest("train")[0].text == "我有0本书。"


def test_scores_know_the_text_version(corpus):
    for version in ("smoothed", "cvpr21"):
        data = CSLDaily(str(corpus), text_version=version)
        assert data.score_notes("dev") == {"text_version": version}
        assert f"text_version={version}" in data.remark and "use cvpr21" in data.remark


def test_a_pickle_that_wants_more_than_data_is_refused(corpus):
    label(corpus).unlink()
    label(corpus, "csl2020ct_v2.pkl").write_bytes(pickle.dumps(os.system))
    with pytest.raises(AnnotationError, match=r"asks for \w+\.system"):
        CSLDaily(str(corpus)).manifest("dev")


def test_a_wrong_root(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DatasetNotFoundError, match=r"no sentence_label/split_1\.txt") as error:
        CSLDaily(str(tmp_path)).manifest("dev")
    assert "there: elsewhere" in str(error.value) and "signed agreement" in str(error.value)


@pytest.mark.parametrize(
    "place", ["sentence/frames_512x512", "sentence_frames-512x512", "sentence/images", "sentence/frames_256x256"]
)
def test_frames_in_the_folders_that_are_met(corpus, place):
    write_frames(corpus / place)
    data = CSLDaily(str(corpus), batch_size=4)
    data.bind(InputSpec(modality="frames"), ["train"])
    (batch,) = data.loader("train")
    assert batch.frames.lengths.tolist() == [3, 3] and batch.fps == [30.0, 30.0]
    assert data.manifest("train")[0].media["frames"].num_frames == 3


def test_frames_by_name_and_missing(corpus):
    with pytest.raises(MissingMediaError, match="2 of 2 samples have no frames") as error:
        CSLDaily(str(corpus)).bind(InputSpec(modality="frames"), ["train"])
    assert "frames_512x512" in str(error.value) and "data.frames" in str(error.value)
    write_frames(corpus / "sentence/frames_512x512")
    write_frames(corpus / "small")
    data = CSLDaily(str(corpus), frames="small")
    assert Path(data.manifest("dev")[0].media["frames"].path).parent == corpus / "small"
    (corpus / "sentence/images").mkdir()
    with pytest.warns(UserWarning, match="data.frames chooses another"):
        CSLDaily(str(corpus)).manifest("dev")


def test_features_are_found_as_in_other_corpora(corpus):
    data = CSLDaily(str(corpus), features="mine", batch_size=2)
    data.bind(InputSpec(modality="features"), SPLITS)
    assert [b.id for b in data.loader("train")] == [IDS["train"]]


# The real files.


@pytest.mark.parametrize(("version", "train", "characters"), [("smoothed", 18400, 1346), ("cvpr21", 18401, 1358)])
def test_the_real_annotation(shared_data, recwarn, version, train, characters):
    data = CSLDaily(str(shared_data / "csl_daily"), text_version=version)
    assert [len(data.manifest(split)) for split in SPLITS] == [train, 1077, 1176]
    assert len({c for text in data.manifest("dev").column("text") for c in text}) == characters
    assert {s.signer for s in data.manifest("train")} == {str(i) for i in range(10)}
    told = [str(w.message) for w in recwarn]
    assert not [t for t in told if "release has" in t or "not those of the release" in t]
    defect = [t for t in told if "split file and annotation differ" in t]
    assert len(defect) == (version == "smoothed")
    assert all("S000005_P0004_T00" in t and "S000007_P0003_T00" in t for t in defect)


def test_the_versions_differ_in_90_real_texts_and_are_told_apart(shared_data, tmp_path):
    real = shared_data / "csl_daily"
    ours, theirs = (CSLDaily(str(real), text_version=v) for v in ("smoothed", "cvpr21"))
    pairs = [(a.text, theirs.manifest(s).by_id(a.id).text) for s in ("dev", "test") for a in ours.manifest(s)]
    assert sum(a != b for a, b in pairs) == 90
    label_folder = tmp_path / "sentence_label"
    label_folder.mkdir()
    (label_folder / "split_1.txt").symlink_to(real / "sentence_label/split_1.txt")
    by_id = {s.id: s for s in theirs.manifest("dev")}
    rows = [f"0|{i}|3|{' '.join(s.gloss)}|{' '.join(s.text)}|-|-" for i, s in by_id.items()]
    (label_folder / "video_map.txt").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    with pytest.warns(UserWarning), pytest.raises(AnnotationError, match="has the text version 'cvpr21'"):
        CSLDaily(str(tmp_path)).manifest("dev")

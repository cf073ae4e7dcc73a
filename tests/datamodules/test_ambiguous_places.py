"""What fits one sample twice, or is no place at all, is told and never chosen silently."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
import torch

import slt_zoo
from slt_zoo import InputSpec
from slt_zoo.data.locations import one_or_several
from slt_zoo.data.media_finder import SUFFIXES
from slt_zoo.data.media_tables import find_table
from slt_zoo.data.places import find_place
from slt_zoo.errors import AnnotationError, ConfigError, MediaError, MissingMediaError
from slt_zoo.synthetic import simulate
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

FEATURES = InputSpec(modality="features")


@pytest.fixture
def make(simulated):
    """Makes a data module of a corpus on simulated annotation without media."""
    return lambda name, **kw: getattr(slt_zoo, name)(str(simulated(name, samples=(3, 2, 2), seed=3, render=())), **kw)


def save(path, value=0.0, rows=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((rows, 2), value, np.float32))


def table(path, columns, rows):
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in (columns, *rows)))
    return str(path)


def test_two_endings_are_told(make, tmp_path):
    ids = make("Phoenix14T").manifest("train").ids
    for i in ids:
        save(tmp_path / "train" / f"{i}.npy", 1)
        torch.save(torch.full((9, 2), 2.0), tmp_path / "train" / f"{i}.pt")
    data = make("Phoenix14T", features=str(tmp_path))
    with pytest.warns(UserWarning, match=r"3 samples have a file \.npy, which is read, and another: .*\.pt"):
        data.bind(FEATURES, ["train"])
    assert data.loader("train").dataset[0].features.max() == 1
    (tmp_path / "train" / f"{ids[0]}.npy").rename(tmp_path / "train" / "other.npy")
    (place,) = {find_place(tmp_path, "train", SUFFIXES["features"])}
    assert len(place.rivals) == 2


def test_two_names_with_a_start(make, tmp_path):
    samples = list(make("How2Sign").manifest("train"))
    for s in samples:
        for k, name in enumerate((s.meta["video"], s.meta["video_id"])):
            save(tmp_path / "train" / f"{name}_{s.meta['start']}_x.npy", k)
    with pytest.raises(MediaError, match=f"2 files fit sample {samples[0].id}: which one") as error:
        make("How2Sign", features=str(tmp_path)).manifest("train")
    assert f"{samples[0].meta['video']}_{samples[0].meta['start']}_x.npy" in str(error.value)


def test_a_start_that_two_sentences_share_is_told(tmp_path):
    root = simulate("How2Sign", tmp_path / "corpus", (3, 2, 2), seed=3, render=())
    for path in root.rglob("how2sign_realigned_train.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t"))
        at = {name: rows[0].index(name) for name in ("VIDEO_NAME", "START_REALIGNED", "SENTENCE_NAME")}
        for name in ("VIDEO_NAME", "START_REALIGNED"):
            rows[2][at[name]] = rows[1][at[name]]
        video, tail = rows[1][at["SENTENCE_NAME"]].split("_", 1)
        rows[2][at["SENTENCE_NAME"]] = f"{video}_9{tail}"
        path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    row = rows[1]
    save(tmp_path / "train" / f"{row[at['VIDEO_NAME']]}_{float(row[at['START_REALIGNED']])}_x.npy")
    with pytest.raises(MissingMediaError, match="two share name and start: call the files by SENTENCE_NAME"):
        slt_zoo.How2Sign(str(root), features=str(tmp_path)).bind(FEATURES, ["train"])


@pytest.mark.parametrize("ending", [".tsv", ""])
def test_two_words_for_dev(make, tmp_path, ending):
    ids = make("Phoenix14T").manifest("dev").ids
    for word in ("val", "dev"):
        if ending:
            table(tmp_path / f"v.{word}.tsv", ("id", "path"), [(i, f"{i}.npy") for i in ids])
        else:
            torch.save({i: torch.ones(4, 2) for i in ids}, tmp_path / f"v.{word}.pt")
    place = tmp_path / f"v.{{split}}{ending or '.pt'}"
    with pytest.raises(ConfigError, match=r"for dev: which one\?") as error:
        make("Phoenix14T", features=str(place)).manifest("dev")
    assert f"v.val{ending or '.pt'}" in str(error.value) and f"v.dev{ending or '.pt'}" in str(error.value)


def test_strays_beside_folders_of_prefixes(tmp_path):
    for name in ("S0000/S0000_1.npy", "S0001/S0001_1.npy", "README", "stray.npy"):
        save(tmp_path / name) if name.endswith("npy") else (tmp_path / name).touch()
    assert find_place(tmp_path, "test", SUFFIXES["features"]).prefixed
    save(tmp_path / "other.npy")
    assert not find_place(tmp_path, "test", SUFFIXES["features"]).prefixed, "as many files as folders"


# Places that are none.


@pytest.mark.parametrize("wrong", [3, ["a", None], ["a", 3], ["a", ""], [["a"], "b"], {"a": 1}, "", "  "])
def test_what_names_no_place(wrong):
    with pytest.raises(ConfigError, match="takes a path or a name, or a list of these"):
        one_or_several(wrong)


def test_a_place_joined_with_itself(make, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for other in (f"{tmp_path}/a/", f"{tmp_path}/b/../a", f"{tmp_path}/link"):
        with pytest.raises(ConfigError, match="joins a place with itself"):
            make("Phoenix14T", features=[f"{tmp_path}/a", other]).manifest("test")


def test_a_list_without_brackets(make, tmp_path):
    with pytest.raises(MissingMediaError, match=re.escape(f"data.features='[{tmp_path}/a, {tmp_path}/b]'")):
        make("Phoenix14T", features=f"{tmp_path}/a,{tmp_path}/b").bind(FEATURES, ["test"])


def test_a_table_that_is_not_there(make, tmp_path):
    (tmp_path / "nine.train.tsv").touch()
    with pytest.raises(MissingMediaError, match=r"there is no file \S*/none\.train\.tsv; similar.*nine\.train\.tsv"):
        make("Phoenix14T", features=str(tmp_path / "none.{split}.tsv")).bind(FEATURES, ["train"])


def test_epochs_that_are_not_entered(make, tmp_path):
    ids = make("Phoenix14T").manifest("train").ids
    for i in ids:
        save(tmp_path / "features" / "ep0" / i[:5] / f"{i}.npy")
    table(tmp_path / "t.tsv", ("video_name", "duration"), [(f"{i}.mp4", 3) for i in ids])
    with pytest.raises(MissingMediaError, match=r"features has ep0: of these the only folder with a number"):
        make("Phoenix14T", features=str(tmp_path / "t.tsv")).bind(FEATURES, ["train"])
    (tmp_path / "features" / "ep0").rename(tmp_path / "features" / "0")
    make("Phoenix14T", features=str(tmp_path / "t.tsv")).bind(FEATURES, ["train"])


# Tables.


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_tables_of_ssvp_slt_without_header(tmp_path, columns):
    rows = [("00000-a.mp4", "3.5", "Hi")[:columns], ("00001-b.mp4", "-1", "")[:columns]]
    path = tmp_path / "t.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    assert list(find_table(path, "test", "features", SUFFIXES["features"]).parts) == ["00000-a", "00001-b"]


def test_seconds_need_a_frame_rate(make, tmp_path):
    ids = make("How2Sign").manifest("train").ids
    for i in ids:
        save(tmp_path / f"{i}.npy", rows=100)
    timed = table(tmp_path / "t.tsv", ("id", "path", "start", "end"), [(i, f"{i}.npy", 1, 2) for i in ids])
    with pytest.raises(AnnotationError, match=r"line 2: a part in seconds[\s\S]*signs_offset, signs_length") as error:
        make("How2Sign", features=timed).manifest("train")
    assert f"{timed}, line 2" in str(error.value)
    header = ("id", "signs_file", "signs_offset", "signs_length")
    counted = table(tmp_path / "u.tsv", header, [(i, f"{i}.npy", 10, 20) for i in ids])
    data = make("How2Sign", features=counted)
    data.bind(FEATURES, ["train"])
    assert len(data.loader("train").dataset[0].features) == 20


def test_a_part_past_the_end_names_its_line(make, tmp_path):
    ids = make("Phoenix14T").manifest("train").ids
    for i in ids:
        save(tmp_path / f"{i}.npy", rows=100)
    rows = [(i, f"{i}.npy", 9 if i == ids[1] else 1, 10 if i == ids[1] else 2) for i in ids]
    timed = table(tmp_path / "t.tsv", ("id", "path", "start", "end"), rows)
    data = make("Phoenix14T", features=timed)
    with pytest.raises(MediaError, match="past the end") as error:
        data.bind(FEATURES, ["train"])
    assert f"{timed}, line 3" in str(error.value)
    media = data.manifest("train")[1].media["features"]
    with pytest.raises(MediaError, match="past the end") as error:
        slt_zoo.data.readers.open_reader("features", media, sample_id="s")
    assert f"{timed}, line 3" in str(error.value)


def test_one_file_for_several_samples(make, tmp_path):
    a, b, c = make("Phoenix14T").manifest("train").ids
    save(tmp_path / "x.npy", rows=100)
    for rows in ([(a, "x.npy", "", ""), (b, "x.npy", "", "")], [(a, "x.npy", 1, 2), (b, "./x.npy", 1, 2)]):
        path = table(tmp_path / "t.tsv", ("id", "path", "start", "end"), rows)
        with pytest.raises(
            AnnotationError, match=f"line 3: '{b}' is the same part of the same file as '{a}' on line 2"
        ):
            make("Phoenix14T", features=path).manifest("train")
    rows = [(a, "x.npy", 1, 2), (b, "x.npy", 1.5, 3), (c, "x.npy", 3, 4)]
    path = table(tmp_path / "t.tsv", ("id", "path", "start", "end"), rows)
    with pytest.warns(UserWarning, match=rf"overlap, so samples share frames: '{a}' \(line 2\) and '{b}' \(line 3\)$"):
        make("Phoenix14T", features=path).manifest("train")


def test_a_table_names_files_of_one_sample(make, tmp_path):
    ids = make("Phoenix14T").manifest("train").ids
    torch.save({i: torch.ones(9, 2) for i in ids}, tmp_path / "many.pt")
    path = table(tmp_path / "t.tsv", ("id", "path"), [(ids[0], "many.pt")])
    media = find_table(tmp_path / "t.tsv", "train", "features", SUFFIXES["features"]).parts[ids[0]]
    with pytest.raises(MediaError, match="tables name files of one sample") as error:
        slt_zoo.data.readers.open_reader("features", slt_zoo.types.Media(media.path), sample_id="s")
    assert "item of the media" not in str(error.value) and path


# Joined features.


@pytest.mark.parametrize("at_fault", [0, 1])
def test_a_fault_of_one_joined_place_names_its_file(make, tmp_path, at_fault):
    ids = make("Phoenix14T").manifest("train").ids
    last = ids[-1]
    for path in (tmp_path / name / "train" / f"{i}.npy" for name in "ab" for i in ids):
        save(path, rows=6)
    bad, other = (tmp_path / name / "train" / f"{last}.npy" for name in ("ab", "ba")[at_fault])
    array = np.zeros((6, 2), np.float32)
    array[3] = np.nan
    np.save(bad, array)
    data = make("Phoenix14T", features=[str(tmp_path / "a"), str(tmp_path / "b")])
    data.bind(FEATURES, ["train"])
    with pytest.raises(MediaError, match=r"^2 numbers of the features are NaN") as error:
        list(data.loader("train"))
    assert str(bad) in str(error.value) and str(other) not in str(error.value) and "first row 3" in str(error.value)
    np.save(bad, np.zeros((6, 5), np.float32))
    with pytest.raises(MediaError, match="features of different shapes in one batch") as error:
        list(data.loader("train"))
    assert f"(5,) a row of sample {last}, {str(bad)!r}" in str(error.value) and "(2,)" in str(error.value)
    assert str(other) not in str(error.value), "the place that is right is not named"

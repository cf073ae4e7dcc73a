"""Ids: the split that stands in front of some, and the way from id to path and back for all real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slt_zoo import GSL, How2Sign, Phoenix14T
from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.ids import bare_id, check_id
from slt_zoo.data.official import read_csl_split, read_phoenix14t
from slt_zoo.data.places import find_place
from slt_zoo.data.readers import skels_ids
from slt_zoo.data.subsets import read_subset
from slt_zoo.errors import AnnotationError, DatasetError
from slt_zoo.types import SPLITS


@pytest.mark.parametrize(
    ("word", "split"),
    [("train", "train"), ("dev", "dev"), ("val", "dev"), ("valid", "dev"), ("validation", "dev"), ("test", "test")],
)
def test_every_name_of_a_split_is_taken_off(tmp_path, word, split):
    assert bare_id(f"{word}/a/b") == ("a/b", split)
    for name in (f"{word}-a", f"{word}", f"other/{word}/a", f"{word.upper()}/a"):
        assert bare_id(name) == (name, None)
    (tmp_path / "x.files").write_text(f"{word}/a\nb\n")
    assert skels_ids(tmp_path / "x.skels") == ["a", "b"]
    (tmp_path / f"{split}.files").write_text(f"{word}/a\nb\n")
    assert read_subset(tmp_path, split) == ["a", "b"]


def test_a_list_that_names_samples_of_another_split(tmp_path):
    (tmp_path / "train.txt").write_text("train/a\nval/b\n")
    with pytest.raises(DatasetError, match="an id of dev in the list of train") as error:
        read_subset(tmp_path, "train")
    assert "line 2" in str(error.value)


def test_phoenix14t_takes_val_for_dev_and_nothing_else(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("val/a-1|val/a-1/1/*.png|-1|-1|S1|REGEN|regen\n", "utf-8")
    assert [e.id for e in read_phoenix14t(path, "dev")] == ["a-1"]
    with pytest.raises(AnnotationError, match="line 1: a name of dev in the file of train"):
        read_phoenix14t(path, "train")


def ids_of(corpus: type[SLTDataModule], *splits: str, **arguments: str) -> Callable[[str], dict[str, list[str]]]:
    return lambda root: {s: [x.id for x in corpus(root, **arguments).read_annotations(s)] for s in splits}


def csl_ids(root: str) -> dict[str, list[str]]:
    """Of the list of splits: it has one more than the labels."""
    return dict(read_csl_split(Path(root) / "sentence_label/split_1.txt"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("folder", "read", "count"),
    [
        ("phoenix14t", ids_of(Phoenix14T, *SPLITS), 8257),
        ("csl_daily", csl_ids, 20654),
        ("how2sign", ids_of(How2Sign, "dev", "test"), 4098),
        ("gsl", ids_of(GSL, *SPLITS, split="sd"), 10295),
    ],
)
def test_every_real_id_survives_the_way_to_a_path_and_back(shared_data, tmp_path, folder, read, count):
    seen: set[str] = set()
    for split, ids in read(str(shared_data / folder)).items():
        for name in ids:
            assert bare_id(check_id(name, folder)) == (name, None) and bare_id(f"{split}/{name}") == (name, split)
        home = tmp_path / split
        home.mkdir()
        (home / "any.npy").touch()
        place = find_place(tmp_path, split, (".npy",))
        paths = [place.path(name) for name in ids]
        assert [Path(p).relative_to(home).as_posix().removesuffix(".npy") for p in paths] == ids
        seen |= set(ids)
    assert len(seen) == count

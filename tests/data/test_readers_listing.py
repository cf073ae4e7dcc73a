"""Folder listings, and what is said of a path that is not there."""

import os
import unicodedata

import numpy as np
import pytest
import torch

from slt_zoo.data.listing import FolderIndex, require_path
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import MissingMediaError
from slt_zoo.types import Media


def nfd(text):
    return unicodedata.normalize("NFD", text)


def test_index_lists_once(tmp_path, monkeypatch):
    for name in ("b.pose", "a.pose", "c"):
        (tmp_path / name).touch()
    calls = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: calls.append(path) or scandir(path))
    index = FolderIndex(tmp_path)
    assert index.names() == ["a.pose", "b.pose", "c"]
    assert index.has("a.pose") and not index.has("A.pose") and not index.has("a")
    assert index.missing(f"{i}.pose" for i in "dab") == ["d.pose"]
    assert index.find("c") == "c" and index.find("d") is None
    assert calls == [tmp_path]


def test_index_of_nothing(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "none", tmp_path / "file"):
        assert FolderIndex(folder).names() == [] and FolderIndex(folder).missing(["a"]) == ["a"]


def test_unicode_forms_are_one(tmp_path):
    (tmp_path / nfd("März.npy")).touch()
    index = FolderIndex(tmp_path)
    assert index.has("März.npy") and index.find("März.npy") == nfd("März.npy")
    assert require_path(str(tmp_path / "März.npy"), "s1") == tmp_path / nfd("März.npy")
    np.save(tmp_path / nfd("März.npy"), np.ones((2, 3)))
    reader = open_reader("features", Media(str(tmp_path / "März.npy")), sample_id="s1")
    assert reader.read(torch.tensor([1]))["features"].tolist() == [[1, 1, 1]]


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("clip-1.pose", "'Clip-1.pose'"),
        ("clip-2.pose", "'clip-2.npy'"),
        ("clip 31.pose", "'clip-31.pose'"),
        ("März-2.pose", ascii("März-2.npy")),
    ],
)
def test_near_misses(tmp_path, wanted, near):
    for name in ("Clip-1.pose", "clip-2.npy", "clip-31.pose", "März-2.npy", "x"):
        (tmp_path / name).touch()
    with pytest.raises(MissingMediaError) as error:
        open_reader("pose", Media(str(tmp_path / wanted)), sample_id="s1")
    message = str(error.value)
    assert message.startswith(f"sample s1: '{tmp_path / wanted}' does not exist")
    assert near in message.split("similar names there:")[1]
    assert ascii(wanted)[1:-1] in message


def test_nothing_similar(tmp_path):
    for i in range(7):
        (tmp_path / f"{i}.wav").touch()
    with pytest.raises(MissingMediaError, match=r"7 other names there: '0\.wav'.* and 2 more"):
        require_path(str(tmp_path / "qqqqqqqqqqqq"), "s1")


def test_folder_that_is_not_there(tmp_path):
    (tmp_path / "poses").mkdir()
    with pytest.raises(MissingMediaError, match=r"no folder '.*features/train'; '.*' has 'poses'"):
        require_path(str(tmp_path / "features" / "train" / "a.npy"), "s1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingMediaError, match="0 other names there: nothing"):
        require_path(str(tmp_path / "empty" / "a.npy"), "s1")


def test_symlink_loop(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "b.npy")
    (tmp_path / "b.npy").symlink_to(tmp_path / "a.npy")
    with pytest.raises(MissingMediaError, match=r"a\.npy' does not exist"):
        require_path(str(tmp_path / "a.npy"), "s1")

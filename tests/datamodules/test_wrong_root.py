"""A root that is not the corpus's: all corpora say alike where they looked and what is there."""

from __future__ import annotations

import pytest

import slt_zoo
from slt_zoo.data.checks import has_odd_spaces
from slt_zoo.data.locations import names_in
from slt_zoo.errors import DatasetNotFoundError

WANTED = {
    "Phoenix14T": (
        "annotations/manual/PHOENIX-2014-T.train.corpus.csv",
        "{0}, {0}/PHOENIX-2014-T, {0}/PHOENIX-2014-T-",
    ),
    "CSLDaily": ("sentence_label/split_1.txt", "{0}, {0}/CSL-Daily\n"),
    "GSL": ("gsl_split_SI_train.csv", "{0} and the folders below it\n"),
    "How2Sign": ("how2sign_realigned_train.csv", "{0} and the folders below it\n"),
}


@pytest.mark.parametrize("corpus", WANTED)
def test_it_is_told_alike(corpus, tmp_path):
    what, places = WANTED[corpus]
    root = tmp_path / "X"

    def told() -> str:
        with pytest.raises(DatasetNotFoundError) as error:
            getattr(slt_zoo, corpus)(str(root)).manifest("train")
        return str(error.value)

    assert "Found: no such folder" in told()
    root.mkdir()
    assert "Found: there: nothing" in told()
    for name in ("c", "a", "b"):
        (root / name).touch()
    message = told()
    assert f": no {what} under {str(root)!r}\n" in message
    assert f"Where: looked in {places.format(root)}" in message
    assert "Found: there: a, b, c\n" in message and "What to do: pass data.root=" in message
    for number in range(9):
        (root / f"d{number}").touch()
    assert "there: a, b, c, d0, d1, d2, d3, d4 and 4 more\n" in told()


class MyPhoenix(slt_zoo.Phoenix14TQA):
    """A class of one's own."""


@pytest.mark.parametrize("corpus", [*slt_zoo._CORPORA, MyPhoenix])
def test_a_simulated_one_is_offered_by_the_name_of_the_class(corpus, tmp_path):
    cls = getattr(slt_zoo, corpus) if isinstance(corpus, str) else corpus
    with pytest.raises(DatasetNotFoundError) as error:
        cls(str(tmp_path)).manifest("train")
    name = "Phoenix14TQA" if cls is MyPhoenix else corpus
    assert f"`slt-zoo simulate --corpus {name} --root DIR`" in str(error.value)


def test_what_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    assert names_in(tmp_path / "file") == "a file, no folder"
    assert names_in(tmp_path) == "there: file"


@pytest.mark.parametrize(
    ("text", "odd"),
    [("a b", False), ("", False), (" a", True), ("a ", True), ("a  b", True), ("a\u00a0b", True), ("a\u200bb", True)],
)
def test_odd_spaces(text, odd):
    assert has_odd_spaces(text) == odd

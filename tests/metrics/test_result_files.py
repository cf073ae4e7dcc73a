"""predictions/<split>.jsonl and scores.json: round trips, and errors that name file and line."""

from __future__ import annotations

import json
import os

import pytest

from slt_zoo.errors import ScoreError
from slt_zoo.metrics import ResultFileError, load_predictions, load_scores, merge_scores, save_predictions, score
from slt_zoo.types import Prediction

PREDICTIONS = [
    Prediction("b", "es regnet \u2028 今天", ("Es regnet .", "x"), {"beam": 5, "scores": [0.5]}),
    Prediction("a", "", ()),
]


def test_predictions_round_trip(tmp_path):
    path = tmp_path / "run" / "predictions" / "test.jsonl"
    save_predictions(path, PREDICTIONS)
    assert load_predictions(path) == PREDICTIONS
    assert [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").split("\n")[:-1]] == ["b", "a"]
    assert [p.name for p in path.parent.iterdir()] == ["test.jsonl"]


def test_files_are_replaced_whole_and_keep_the_users_mask(tmp_path):
    path = tmp_path / "test.jsonl"
    save_predictions(path, PREDICTIONS)
    with pytest.raises(ScoreError, match="sample 'c'"):
        save_predictions(path, [Prediction("c", "x", extra={"bad": object()})])
    assert load_predictions(path) == PREDICTIONS
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no prediction"),
        ("\n\n", "no prediction"),
        ('{"id": "a", "hypothesis": "x"}\n{"id"', r"(?s)not valid JSON.*line 2"),
        ('"a"', r"(?s)no prediction.*line 1"),
        ('{"id": "a"}', '(?s)"hypothesis": string.*Found'),
        ('{"id": 1, "hypothesis": "x"}', '"id": string'),
        ('{"id": "a", "hypothesis": "x", "references": "y"}', "list of strings"),
        ('{"id": "a", "hypothesis": "x", "extra": []}', "object"),
        ('{"id": "a", "hypothesis": "x"}\n{"id": "a", "hypothesis": "y"}', r"(?s)twice.*line 2"),
    ],
)
def test_bad_predictions(tmp_path, text, message):
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(ResultFileError, match=message) as error:
        load_predictions(path)
    assert str(path) in str(error.value)


def test_foreign_files_with_a_byte_order_mark_and_windows_lines(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "hypothesis": "x"}\r\n{"id": "b", "hypothesis": "y"}\r\n')
    assert [p.id for p in load_predictions(path)] == ["a", "b"]


def test_missing_and_not_utf8(tmp_path):
    with pytest.raises(ResultFileError, match=r"(?s)not there.*slt-zoo test"):
        load_predictions(tmp_path / "none.jsonl")
    (tmp_path / "p.jsonl").write_bytes(b'{"id": "a", "hypothesis": "S\xfcden"}')
    with pytest.raises(ResultFileError, match="not UTF-8"):
        load_predictions(tmp_path / "p.jsonl")


def test_scores_are_merged_by_split(tmp_path):
    path = tmp_path / "scores.json"
    first, second, third = (score({"a": h}, {"a": "es regnet"}, "strict") for h in ("es", "regnet", "es regnet"))
    merge_scores(path, {"dev": first})
    merge_scores(path, {"test": second})
    merge_scores(path, {"dev": third})
    assert load_scores(path) == {"dev": third, "test": second}


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[]", "must be an object")])
def test_bad_scores(tmp_path, text, message):
    path = tmp_path / "scores.json"
    path.write_text(text)
    report = score({"a": "x"}, {"a": "x"}, "strict")
    for use in (lambda: load_scores(path), lambda: merge_scores(path, {"dev": report})):
        with pytest.raises(ResultFileError, match=message):
            use()
    assert path.read_text() == text

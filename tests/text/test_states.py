"""Text states: computed once, kept by the encoder and the texts, made again where they are damaged."""

from __future__ import annotations

import pytest
import torch

from slt_zoo.text.states import TextStates
from slt_zoo.types import Ragged


class Counting:
    """Each word is its length, in two dimensions; counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.extend(texts)
        rows = [torch.tensor([[float(len(w)), 1.0] for w in t.split()]).view(-1, 2) for t in texts]
        return Ragged.pack(rows), Ragged.pack([10 * r for r in rows])


TEXTS = ["ein kurzer satz", "noch einer", "", "ein kurzer satz", "wort"]


def check(states):
    embeddings, hidden = states(TEXTS)
    assert embeddings.lengths.tolist() == [3, 2, 0, 3, 1]
    assert embeddings.split()[1].tolist() == [[4.0, 1.0], [5.0, 1.0]]
    assert torch.equal(hidden.values, 10 * embeddings.values)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
@pytest.mark.parametrize("on_disk", [True, False])
def test_each_text_is_computed_once(tmp_path, batch_size, on_disk):
    encode = Counting()
    states = TextStates(encode, "k", tmp_path if on_disk else None, batch_size)
    check(states)
    check(states)
    assert sorted(encode.asked) == sorted(set(TEXTS))
    states(["neu", "wort"])
    assert encode.asked[-1] == "neu" and len(encode.asked) == 5


def test_another_run_reads_what_is_there(tmp_path):
    TextStates(Counting(), "k", tmp_path).prepare(TEXTS)
    again = Counting()
    check(TextStates(again, "k", tmp_path))
    assert not again.asked
    other = Counting()
    check(TextStates(other, "another encoder", tmp_path))
    assert other.asked


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    TextStates(Counting(), "k", tmp_path).prepare(TEXTS)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-3] if damage is None else damage)
    encode = Counting()
    check(TextStates(encode, "k", tmp_path))
    assert encode.asked
    check(TextStates(again := Counting(), "k", tmp_path))
    assert not again.asked


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "k").write_text("a file")
    check(TextStates(Counting(), "k", tmp_path))

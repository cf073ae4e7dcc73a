"""References that the tokenizer cannot write."""

from __future__ import annotations

import logging

import pytest

from slt_zoo import Phoenix14T, SignAttention
from slt_zoo.errors import VocabularyError
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.text import WordCodec, check_reachable

__all__ = ["simulated"]  # a fixture


def test_characters_are_refused_and_words_are_counted(caplog):
    references = {"train": ["我在家", "你好"], "dev": ["我好", "她在家，她"]}
    characters = WordCodec.fit(references["train"], level="char")
    with pytest.raises(VocabularyError, match=r"1 of 2 references of dev.*never be") as error:
        check_reachable(characters, references)
    assert "2 characters, 3 times: '她' (2), '，' (1)" in str(error.value) and "allow_unreachable" in str(error.value)
    with caplog.at_level(logging.INFO):
        check_reachable(characters, references, allow=True)
        check_reachable(WordCodec.fit(["a b"]), {"dev": ["a c"]})
    assert "1 of 2 references hold characters" in caplog.text and "hold words" in caplog.text


class Spelling(SignAttention):
    def make_codecs(self, samples):
        return {self.target: WordCodec.fit((s.text for s in samples[:1]), level="char")}


def test_training_refuses_unless_told_otherwise(simulated, tmp_path):
    data = Phoenix14T(str(simulated("Phoenix14T", samples=(8, 4, 4), seed=3)))
    small = {"target": "text", "d_model": 16, "nhead": 2, "dim_feedforward": 16, "points": "upper_hands48"}
    with pytest.raises(VocabularyError, match="of train"):
        quick_trainer(tmp_path, max_steps=1).fit(Spelling(**small), datamodule=data)
    quick_trainer(tmp_path, max_steps=1).fit(Spelling(**small, allow_unreachable=True), datamodule=data)

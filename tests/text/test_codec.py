"""The word codec (SignAttention specification, test 2)."""

from __future__ import annotations

import gzip
import json

import pytest

from slt_zoo.errors import VocabularyError
from slt_zoo.text import WordCodec, codec_from_dict


def test_specials_then_tokens_by_frequency():
    codec = WordCodec.fit(["b a", "b"])
    assert (codec.pad_id, codec.unk_id, codec.bos_id, codec.eos_id) == (0, 1, 2, 3)
    assert codec.tokens == ["b", "a"] and len(codec) == 6


def test_a_sequence_is_begin_tokens_end_and_padding():
    codec = WordCodec.fit(["a b"])
    padded, mask = codec.encode(["a b"], max_len=20).padded(codec.pad_id, length=20)
    assert padded.tolist() == [[2, 4, 5, 3] + [0] * 16]
    assert mask.sum() == 4


def test_unknown_words_and_long_texts():
    codec = WordCodec.fit(["a b"])
    assert codec.encode(["z"]).values.tolist() == [2, 1, 3]
    assert codec.encode(["a b a b a b"], max_len=5).values.tolist() == [2, 4, 5, 4, 3], "the end is never cut off"
    assert codec.unknown(["a z z"]) == {"z": 2}


def test_decoding_stops_at_the_first_end():
    codec = WordCodec.fit(["a b"])
    assert codec.decode([[2, 4, 1, 3, 5, 3]]) == ["a <unk>"]
    assert codec.decode([[2, 3]]) == [""]


@pytest.mark.parametrize(("level", "text"), [("word", "ΝΕΡΟ ΕΓΩ(1)"), ("char", "她明年七岁吧！")])
def test_round_trips(level, text):
    codec = codec_from_dict(json.loads(json.dumps(WordCodec.fit([text], level).to_dict())))
    assert codec.decode(codec.encode([text]).values[None]) == [text]


def test_no_text_is_an_error():
    with pytest.raises(VocabularyError, match="no text"):
        WordCodec.fit(["", " "])
    with pytest.raises(VocabularyError, match="unknown kind"):
        codec_from_dict({"kind": "magic"})


def test_the_signer_independent_vocabulary_of_greek_sign_language(shared_data):
    """Specification section 2: 310 ids for glosses, specials included."""
    lines = (shared_data / "gsl/GSL_continuous/gsl_split_SI_train.csv").read_text(encoding="utf-8").splitlines()
    assert len(WordCodec.fit(line.split("|")[-1] for line in lines)) == 310


def test_the_vocabulary_of_phoenix(shared_data):
    path = shared_data / "phoenix14t/variants/signjoey_annotations.train.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert len(WordCodec.fit(row["gloss"] for row in rows)) == 1085 + 4


def test_an_encoder_reads_the_begin_last():
    codec = WordCodec.fit(["am abend regen", "wind"])
    texts = ["wind am abend", "regen", ""]
    for whole, read in zip(codec.encode(texts).split(), codec.encode_source(texts).split(), strict=True):
        assert read.tolist() == [*whole.tolist()[1:], codec.bos_id]
    assert codec.encode_source(texts, max_len=3).lengths.tolist() == [3, 3, 2]

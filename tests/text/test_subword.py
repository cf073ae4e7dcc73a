"""Sub-word codecs: trained on the spot, and mBART's."""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mbart_folders import SENTENCES, own_model, tiny_mbart

from slt_zoo.errors import ConfigError, UnknownNameError, VocabularyError
from slt_zoo.text import Coverage, SubwordCodec, TextCodec, check_reachable, codec_from_dict
from slt_zoo.text.subword import MBART_LANGUAGES, MODEL_FILE, RESERVED, language_code, tidy


@pytest.fixture(scope="module")
def codec():
    return SubwordCodec.fit(SENTENCES, 90, "de")


def phoenix(shared_data, splits=("train", "dev", "test")):
    folder = shared_data / "phoenix14t/variants"
    files = [gzip.decompress((folder / f"signjoey_annotations.{s}.jsonl.gz").read_bytes()) for s in splits]
    return [json.loads(line)["text"] for content in files for line in content.splitlines()]


# A model of one's own.


def test_the_contract_of_codecs(codec):
    assert isinstance(codec, TextCodec) and not codec.closed
    assert (codec.pad_id, codec.eos_id, codec.unk_id) == (1, 2, 3)
    assert codec.tokens[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and codec.tokens[-2:] == ["de_DE", "<mask>"]
    assert len(codec) == len(codec.tokens) == 90 and codec.bos_id == codec.language_id == 88 and codec.mask_id == 89


def test_the_decoder_starts_with_the_language_and_ends_with_the_end(codec):
    (row,) = codec.encode(SENTENCES[:1]).split()
    (source,) = codec.encode_source(SENTENCES[:1]).split()
    inner = codec.subwords(SENTENCES[0])
    assert row.tolist() == [codec.language_id, *inner, codec.eos_id]
    assert source.tolist() == [*inner, codec.eos_id, codec.language_id]
    assert torch.equal(torch.roll(source, 1), row), "labels rotated right are the decoder's inputs"
    assert row[1:].tolist() == source[:-1].tolist(), "without the code at the end, the two give the same targets"


def test_long_texts_lose_subwords_and_never_the_ends(codec):
    inner = codec.subwords(SENTENCES[0])
    assert codec.encode(SENTENCES[:1], max_len=4).values.tolist() == [codec.language_id, *inner[:2], codec.eos_id]
    assert codec.encode_source(SENTENCES[:1], max_len=4).values.tolist() == [*inner[:2], 2, codec.language_id]
    assert codec.encode([""]).values.tolist() == [codec.language_id, codec.eos_id]


def test_texts_come_back(codec):
    padded, _ = codec.encode(SENTENCES).padded(codec.pad_id)
    assert codec.decode(padded) == SENTENCES
    assert codec.decode(codec.encode_source(SENTENCES[:1]).values[None]) == SENTENCES[:1]
    messy = " morgen\u00a0 regnet\u200b\tes im\nnorden "
    assert codec.decode(codec.encode([messy]).values[None]) == [tidy(messy)] == SENTENCES[:1]


def test_decoding_stops_at_the_first_end_and_shows_the_unknown(codec):
    word = codec.subwords("regnet")
    assert codec.decode([[codec.bos_id, *word, 3, *word, codec.mask_id, 0, 2, *word]]) == ["regnet <unk> regnet"]
    assert codec.decode([[2], []]) == ["", ""]


def test_plain_data_holds_all(codec, tmp_path):
    torch.save(codec.to_dict(), tmp_path / "a.ckpt")
    assert torch.load(tmp_path / "a.ckpt", weights_only=True) == codec.to_dict()
    again = codec_from_dict(json.loads(json.dumps(codec.to_dict())))
    assert isinstance(again, SubwordCodec) and again.tokens == codec.tokens and again.to_dict() == codec.to_dict()
    assert torch.equal(again.encode(SENTENCES).values, codec.encode(SENTENCES).values)
    for other in (copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):  # a process that is spawned gets this
        assert other.decode(other.encode(SENTENCES[:1]).values[None]) == SENTENCES[:1]


@pytest.mark.parametrize("damage", ["???", "", "AAAA"])
def test_damaged_plain_data(codec, damage):
    with pytest.raises(VocabularyError, match=r"damaged|cannot be read|mBART's kind"):
        codec_from_dict(codec.to_dict() | {"model": damage})
    with pytest.raises(VocabularyError, match="keep_ids"):
        codec_from_dict({name: value for name, value in codec.to_dict().items() if name != "keep_ids"})


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_same_text_gives_the_same_bytes(kind):
    one = SubwordCodec.fit(SENTENCES, 70, "de", kind=kind)
    assert SubwordCodec.fit(reversed(SENTENCES), 70, "de", kind=kind).model == one.model
    program = (
        "import hashlib; from slt_zoo.text import SubwordCodec\n"
        f"model = SubwordCodec.fit({SENTENCES!r}, 70, 'de', kind={kind!r}).model\n"
        "print(hashlib.sha256(model).hexdigest())"
    )
    other = {**os.environ, "PYTHONHASHSEED": "4", "OMP_NUM_THREADS": "4"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=other)
    assert done.stdout.strip() == hashlib.sha256(one.model).hexdigest()


def test_every_character_gets_a_row_and_others_are_refused(codec, caplog):
    assert not codec.unknown(SENTENCES)
    assert codec.unknown(["ein ß, ßu"]) == {"ß": 2, ",": 1}
    with pytest.raises(VocabularyError, match=r"1 of 2 references of dev.*never be") as error:
        check_reachable(codec, {"train": SENTENCES, "dev": [SENTENCES[0], "qual"]})
    assert "'q' (1)" in str(error.value)
    check_reachable(codec, {"dev": ["qual"]}, allow=True)


def test_signs_that_sentencepiece_keeps_to_itself():
    """It leaves sentences with these out of training; here only the sign is lost, and that is told."""
    texts = ["abc\u2581def", "ghi\u2585jkl", "mno\0pqr"]
    codec = SubwordCodec.fit(texts, 100, "de")
    assert not codec.unknown(["abc def ghi jkl mno pqr"])
    assert codec.unknown(texts) == {"\u2581": 1, "\u2585": 1, "\0": 1}


def test_sizes_and_languages():
    with pytest.raises(VocabularyError, match="no text"):
        SubwordCodec.fit(["", " "], 50, "de")
    characters = len(set("".join(SENTENCES)))  # the space counts as the sign that stands for it
    least = 4 + characters + 2
    with pytest.raises(VocabularyError, match=f"at least {least}"):
        SubwordCodec.fit(SENTENCES, least - 1, "de")
    assert len(SubwordCodec.fit(SENTENCES, least, "de")) == least
    assert SubwordCodec.fit(SENTENCES, 5000, "de").decode([[50]])[0], "little text gives fewer"
    assert SubwordCodec.fit(["νερό"], 30, "el").language == "el"
    assert language_code("zh") == language_code("zh-Hans") == "zh_CN" and language_code("de_DE") == "de_DE"
    with pytest.raises(UnknownNameError, match="language"):
        language_code("el")


def test_a_long_sentence_is_not_left_out():
    assert not SubwordCodec.fit(["kurz", "xyz " * 3000], 40, "de").unknown(["xyz"])


# Rows of a part.


def test_rows_that_are_kept_keep_their_meaning(codec):
    used = sorted(set(codec.subwords(SENTENCES[0])))
    small = codec.trimmed([0, 1, 2, 3, *used, codec.language_id, codec.mask_id])
    assert len(small) == 6 + len(used) and small.language_id == len(small) - 2
    row = small.encode([SENTENCES[0]]).values
    assert [small.tokens[i] for i in row] == [codec.tokens[i] for i in codec.encode([SENTENCES[0]]).values]
    assert small.unk_id in small.subwords(SENTENCES[1]), "a sub-word that was cut away"
    assert small.trimmed(range(len(small))).keep_ids == small.keep_ids
    assert codec_from_dict(small.to_dict()).tokens == small.tokens


def test_what_others_can_spell_is_reachable():
    codec = SubwordCodec.fit(["ab ab ab", "a b"], 40, "de")
    pieces = {token: i for i, token in enumerate(codec.tokens)}
    assert codec.subwords("ab") == [pieces["▁ab"]]
    rows = [0, 1, 2, 3, *(pieces[p] for p in ("▁", "▁a", "b")), codec.language_id, codec.mask_id]
    small = codec.trimmed(rows)
    assert small.subwords("ab") == [3] and not small.unknown(["ab", "a b"])
    assert Coverage.of(small, ["ab", "a"]) == Coverage(2, 2, 1, 1, 1, 0, {})
    smaller = codec.trimmed([i for i in rows if codec.tokens[i] != "b"])
    assert smaller.unknown(["ab b"]) == {"b": 2}


@pytest.mark.parametrize("rows", [[0, 1, 2], [1, 0, 2, 3, 88, 89], [0, 1, 2, 3, 4, 4, 88, 89], [0, 1, 2, 3, 88, 900]])
def test_rows_that_cannot_be(codec, rows):
    with pytest.raises(VocabularyError, match="keep_ids does not fit"):
        codec.trimmed(rows)


def test_rows_without_the_language(codec):
    with pytest.raises(VocabularyError, match="no de_DE or no <mask>"):
        codec.trimmed([0, 1, 2, 3, 4, codec.mask_id])


# A folder of mBART.


def test_a_folder(tmp_path):
    model = own_model()
    codec = SubwordCodec.from_pretrained(tiny_mbart(tmp_path / "mbart", model), "de")
    assert codec.model == model and codec.languages == MBART_LANGUAGES and codec.language_id == len(codec) - 24
    assert codec.decode(codec.encode(SENTENCES).padded(1)[0]) == SENTENCES
    kept = SubwordCodec.from_pretrained(
        tmp_path / "mbart", "de", keep_ids=[0, 1, 2, 3, 5, len(codec) - 24, len(codec) - 1]
    )
    assert len(kept) == 7 and kept.language_id == 5


def _cut(path, n):
    path.write_bytes(path.read_bytes()[:n])


def _resize(folder, size):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": size}))


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda f: (f / MODEL_FILE).unlink(), ConfigError, r"no .*sentencepiece\.bpe\.model"),
        (lambda f: (f / "config.json").unlink(), ConfigError, "no config.json"),
        (lambda f: shutil.rmtree(f), ConfigError, "no such folder"),
        (lambda f: _cut(f / MODEL_FILE, 700), VocabularyError, "cannot be read|do not belong|mBART's kind"),
        (lambda f: (f / MODEL_FILE).write_bytes(b""), VocabularyError, "cannot be read|mBART's kind"),
        (lambda f: _cut(f / "config.json", 40), VocabularyError, "config.json cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), VocabularyError, "config.json cannot be read"),
        (lambda f: _resize(f, 31), VocabularyError, "do not belong together"),
        (lambda f: _resize(f, 177), VocabularyError, "mBART-50"),
    ],
)
def test_a_damaged_folder_gives_one_clear_error(tmp_path, damage, error, says):
    folder = tiny_mbart(tmp_path / "mbart", own_model())
    damage(folder)
    with pytest.raises(error, match=says) as told:
        SubwordCodec.from_pretrained(folder, "de")
    assert "mbart" in str(told.value) or "bytes" in str(told.value)


def test_a_model_of_another_kind(tmp_path):
    from sentencepiece import SentencePieceTrainer

    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=written, vocab_size=60, model_type="bpe", pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    with pytest.raises(VocabularyError, match="not of mBART's kind"):
        SubwordCodec(written.getvalue(), "de")


def test_a_hub_name_without_network():
    with pytest.raises(ConfigError, match="no folder here") as error:
        SubwordCodec.from_pretrained("nobody/no-such-mbart", "de")
    assert "HF_HUB_OFFLINE" in str(error.value)
    with pytest.raises(ConfigError, match="no such folder"):
        SubwordCodec.from_pretrained("/no/such/folder", "de")


def test_the_real_model_of_phoenix(shared_data):
    """Specification 6.6 and 12, test 13: 2,454 rows, de_DE 24 before the end."""
    codec = SubwordCodec.from_pretrained(shared_data / "mbart/MBart_trimmed", "de")
    assert len(codec) == 2454 and codec.language_ids["de_DE"] == 2454 - 24
    assert codec.language_ids["zh_CN"] == 2452 and codec.mask_id == 2453
    texts = phoenix(shared_data)
    assert len(texts) == 8257
    assert Coverage.of(codec, texts) == Coverage(8257, 190242, 1, 1, 1, 0, {"x": 1})
    assert not codec.unknown(phoenix(shared_data, ["train"]))
    known = [text for text in texts if not codec.unknown([text])]
    assert codec.decode(codec.encode(known).padded(codec.pad_id)[0]) == [tidy(text) for text in known]


def test_ids_are_those_of_transformers_and_its_normalisation_is_not_lost(shared_data):
    from transformers import AutoTokenizer

    folder = shared_data / "mbart/MBart_trimmed"
    codec, theirs = SubwordCodec.from_pretrained(folder, "de"), AutoTokenizer.from_pretrained(folder)
    texts = phoenix(shared_data, ["dev"])
    assert [row.tolist() for row in codec.encode_source(texts).split()] == theirs(texts)["input_ids"]
    # transformers 5 drops NFKC; ours is SentencePiece's own, as mBART was trained
    assert theirs.tokenize("，") != ["▁,"]
    assert codec.subwords("ｗetter．") == codec.subwords("wetter.") and not codec.unknown(["ｗetter．"])
    covered = Coverage.of(codec, ["ｗetter．"])
    assert (covered.texts_touched, covered.texts_changed, covered.texts_normalised) == (0, 1, 1)


def test_phoenix_and_csl_daily_with_models_of_their_own(shared_data):
    rows = gzip.decompress((shared_data / "csl_daily/annotations_cvpr21_text.jsonl.gz").read_bytes()).splitlines()
    chinese = [json.loads(line)["text"] for line in rows]
    for texts, language in ((phoenix(shared_data), "de"), (chinese, "zh")):
        codec = SubwordCodec.fit(texts, 4000, language)
        assert len(codec) == 4000
        assert codec.decode(codec.encode(texts).padded(codec.pad_id)[0]) == [tidy(text) for text in texts]


@example(["<s></s>"], "<unk>")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5), st.text(max_size=12))
def test_any_text_comes_back_or_its_characters_are_told(texts, other):
    if not any(tidy(text.translate(RESERVED)) for text in texts):
        return
    codec = SubwordCodec.fit(texts, 200, "de")
    for text in (*texts, other):
        back = codec.decode(codec.encode([text]).values[None])[0]
        assert (back == tidy(text)) == (not codec.unknown([text]))
    assert not {c for c in codec.unknown(texts)} - {chr(c) for c in RESERVED}

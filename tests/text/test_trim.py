"""mBART cut to a corpus: layouts, the same logits, the same bytes, damage."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from mbart_folders import SENTENCES, own_model, tiny_mbart
from safetensors.torch import load_file, save_file

from slt_zoo.errors import CheckpointError, CheckpointMismatchError, ConfigError, UnknownNameError, VocabularyError
from slt_zoo.text import SubwordCodec
from slt_zoo.text.subword import MBART_LANGUAGES, MODEL_FILE, RECORD_FILE, TRIMMED_MODEL_FILE
from slt_zoo.text.trim import TrimText, layout_rows, trim

TRAIN, OTHER = SENTENCES[:2], SENTENCES[2:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_mbart(tmp_path_factory.mktemp("whole") / "mbart", own_model())


@pytest.fixture
def text():
    return TrimText(TRAIN, {"train": TRAIN, "dev": ["im norden scheint die sonne"]}, {"corpus": "none"})


def network(folder):
    from transformers import MBartForConditionalGeneration

    return MBartForConditionalGeneration.from_pretrained(folder).eval()


def content(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


# Layouts (specification 6.6; of CV-SLT section 6).


@pytest.mark.parametrize(("size", "german", "chinese"), [(2172, 2148, 2170), (6036, 6012, 6034), (2454, 2430, 2452)])
def test_where_the_languages_stand(size, german, chinese):
    """Specification 12, test 13: the rule of 6.6 at the published sizes."""
    texts = [" ".join(chr(0x4E00 + i) for i in range(6100))]
    codec = SubwordCodec.fit(texts, 6400, "de", languages=MBART_LANGUAGES, kind="unigram")
    content = [i for i, token in enumerate(codec.tokens) if "\u4e00" <= token[-1] <= "\u9fff" and len(token) == 1]
    words = [codec.tokens[i] for i in content[: size - 4 - 25 - 1]]
    rows = [0, 1, 2, 3, *content[: len(words)], *codec.language_ids.values(), codec.mask_id]
    small = codec.trimmed(rows)
    assert len(small) == size and small.language_ids["de_DE"] == size - 24 == german
    assert small.language_ids["zh_CN"] == size - 2 == chinese and small.mask_id == size - 1


def test_the_layout_gfslt(whole):
    codec = SubwordCodec.from_pretrained(whole, "de")
    rows = layout_rows(codec, TRAIN, "gfslt")
    small = codec.trimmed(rows)
    used = {token for text in TRAIN for token in (codec.tokens[i] for i in codec.subwords(text))}
    assert small.tokens[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and rows == sorted(rows)
    assert set(small.tokens[4:-26]) == used and small.tokens[-26:] == [*MBART_LANGUAGES, "<mask>"]
    assert small.language_id == len(small) - 24 and small.mask_id == len(small) - 1


def test_the_layout_of_cv_slt(whole):
    codec = SubwordCodec.from_pretrained(whole, "de")
    small = codec.trimmed(layout_rows(codec, TRAIN, "cv_slt"))
    assert small.tokens[:4] == ["<s>", "<pad>", "</s>", "<unk>"] and small.tokens[4:29] == list(MBART_LANGUAGES)
    assert small.language_ids["de_DE"] == 6 and small.language_ids["zh_CN"] == 28 and small.mask_id == 29
    first = [codec.tokens[i] for i in codec.subwords(TRAIN[0])]
    assert small.tokens[30 : 30 + len(set(first))] == list(dict.fromkeys(first)), "in order of first occurrence"


def test_layouts_and_texts_that_are_none(whole):
    codec = SubwordCodec.from_pretrained(whole, "de")
    with pytest.raises(UnknownNameError, match="layout"):
        layout_rows(codec, TRAIN, "gflst")
    with pytest.raises(VocabularyError, match="no text"):
        layout_rows(codec, ["", " "], "gfslt")


# The trimmed model.


@pytest.mark.parametrize("layout", ["gfslt", "cv_slt"])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_those_of_the_whole_model(tmp_path, text, layout, tied):
    folder = tiny_mbart(tmp_path / "mbart", own_model(), tied=tied)
    _same_logits(folder, trim(folder, tmp_path / "small", text, layout=layout), TRAIN)


def _same_logits(folder, made, texts):
    big, codec = network(folder), SubwordCodec.from_pretrained(folder, "de")
    small, trimmed = network(made.folder), SubwordCodec.from_pretrained(made.folder, "de")
    assert trimmed.to_dict() == made.codec.trimmed(range(len(trimmed))).to_dict() | {"language": "de_DE"}
    outputs = []
    for model, tokenizer in ((big, codec), (small, trimmed)):
        (source, mask), (target, _) = (
            sequence.padded(tokenizer.pad_id) for sequence in (tokenizer.encode_source(texts), tokenizer.encode(texts))
        )
        with torch.no_grad():
            inputs = {"input_ids": source, "attention_mask": mask.long(), "decoder_input_ids": target}
            outputs.append(model(**inputs).logits)
    rows = [codec.tokens.index(token) for token in trimmed.tokens]
    torch.testing.assert_close(outputs[1], outputs[0][..., rows], rtol=0, atol=1e-6)
    assert small.config.vocab_size == len(trimmed) == outputs[1].shape[-1] < outputs[0].shape[-1]
    assert small.config.decoder_start_token_id == trimmed.language_id


def test_what_is_written(tmp_path, whole, text):
    made = trim(whole, tmp_path / "deep" / "small", text)
    assert {*content(made.folder)} >= {"config.json", "model.safetensors", TRIMMED_MODEL_FILE, RECORD_FILE}
    record = json.loads((made.folder / RECORD_FILE).read_text(encoding="utf-8"))
    assert record["vocabulary_size"] == len(made.codec) and record["source"]["vocabulary_size"] == 150
    assert record["source"]["name"] == "mbart" and set(record["source"]["weights_sha256"]) == {"model.safetensors"}
    assert record["coverage"]["train"]["without_row"] == 0 and record["coverage"]["dev"]["texts"] == 1
    assert record["text"]["corpus"] == "none" and record["layout"] == "gfslt"
    texts = ["im norden scheint die sonne"]
    back = made.codec.decode(made.codec.encode(texts).padded(made.codec.pad_id)[0])
    assert record["coverage"]["dev"]["texts_changed"] == sum(a != b for a, b in zip(texts, back, strict=True))
    assert not [p for p in made.folder.parent.iterdir() if p.name.startswith(".")]
    assert (made.folder / "model.safetensors").stat().st_mode & 0o777 == (
        made.folder / RECORD_FILE
    ).stat().st_mode & 0o777


def test_the_same_input_gives_the_same_bytes(tmp_path, whole, text):
    first, second = (content(trim(whole, tmp_path / name, text).folder) for name in ("a", "b"))
    assert first == second
    moved = shutil.copytree(whole, tmp_path / "elsewhere" / "mbart")
    assert content(trim(moved, tmp_path / "c", text).folder) == first, "where the source lies leaves no trace"


def test_trimming_again(tmp_path, whole, text):
    """A trimmed folder can be trimmed: rows stay rows of the whole model."""
    once = trim(whole, tmp_path / "once", TrimText(SENTENCES, {"train": SENTENCES}), layout="cv_slt")
    twice = trim(once.folder, tmp_path / "twice", text)
    straight = trim(whole, tmp_path / "straight", text)
    assert twice.codec.keep_ids == straight.codec.keep_ids
    assert content(twice.folder)["model.safetensors"] == content(straight.folder)["model.safetensors"]


def test_transformers_does_not_take_it_for_a_tokenizer_of_all_rows(tmp_path, whole, text):
    from transformers import AutoTokenizer

    made = trim(whole, tmp_path / "small", text)
    try:
        found = len(AutoTokenizer.from_pretrained(made.folder))
    except Exception as error:
        found = str(error)
    assert not isinstance(found, int), f"a tokenizer of {found} ids, of which the weights have {len(made.codec)}"


@pytest.mark.parametrize("old", [False, True])
def test_weights_of_a_pickle_are_read_and_never_written(tmp_path, whole, text, old):
    folder = shutil.copytree(whole, tmp_path / "mbart")
    weights = load_file(folder / "model.safetensors")
    weights |= {
        "model.encoder.embed_tokens.weight": weights["model.shared.weight"],
        "lm_head.weight": weights["model.shared.weight"],
    }
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not old)
    (folder / "model.safetensors").unlink()
    made = trim(folder, tmp_path / "small", text)
    same = trim(whole, tmp_path / "same", text)
    assert content(made.folder)["model.safetensors"] == content(same.folder)["model.safetensors"]
    assert not list(made.folder.glob("*.bin"))


def test_weights_in_parts(tmp_path, whole, text):
    folder = shutil.copytree(whole, tmp_path / "mbart")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for part, keys in parts.items():
        save_file({k: weights[k] for k in keys}, folder / part)
    index = {"weight_map": {k: part for part, keys in parts.items() for k in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    made = trim(folder, tmp_path / "small", text)
    assert (
        content(made.folder)["model.safetensors"]
        == content(trim(whole, tmp_path / "s", text).folder)["model.safetensors"]
    )
    (folder / "b.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"no b\.safetensors"):
        trim(folder, tmp_path / "other", text)


# What is refused.


def test_characters_that_could_never_be_written(tmp_path, whole, caplog):
    text = TrimText(TRAIN, {"train": TRAIN, "dev": OTHER, "test": ["im q süden"]})
    with pytest.raises(VocabularyError, match="cannot write") as error:
        trim(whole, tmp_path / "small", text)
    assert "test: 'q' (1)" in str(error.value) and "the whole tokenizer cannot write 'q' either" in str(error.value)
    assert "dev:" in str(error.value) and "--extra-text" in str(error.value), "lost by trimming, and to be had"
    assert not list(tmp_path.iterdir()), "nothing was written"
    made = trim(whole, tmp_path / "small", text, allow_unreachable=True)
    assert made.coverage["test"].unwritable == {"q": 1} and "'q' (1)" in caplog.text
    assert made.coverage["dev"].without_row > 0


def test_a_source_that_was_cut_before_is_told_as_one(tmp_path, whole):
    """What lies in its rows decides which ways out are told, not what the SentencePiece model knows."""
    once = trim(whole, tmp_path / "once", TrimText(TRAIN, {"train": TRAIN})).folder
    said = []
    for kept in (OTHER, TRAIN):
        with pytest.raises(VocabularyError) as error:
            trim(once, tmp_path / "twice", TrimText([*kept, "im"], {"train": OTHER}))
        said.append(str(error.value))
    for message in said:
        assert "the source, which was cut before, cannot write 'a', 'b', 'c'" in message
        assert "trim the model that the source was cut from, or go on" in message
        assert "--extra-text" not in message and "--splits" not in message


def test_letters_that_a_source_has_inside_longer_rows_alone(tmp_path):
    """Its rows spell the text otherwise than the model cuts it; no letter has a row of its own that could be kept."""
    model = own_model([*["abtz"] * 9, "xtz", "ab", "ctz"], 43)
    once = trim(tiny_mbart(tmp_path / "mbart", model), tmp_path / "once", TrimText(["xtz", "ab"], {}))
    assert {"\u2581ab", "tz"} < set(once.codec.tokens) and not once.codec.unknown(["abtz"])
    with pytest.raises(VocabularyError) as error:
        trim(once.folder, tmp_path / "twice", TrimText(["ab"], {"dev": ["abtz"]}))
    assert "the source has 't', 'z' only inside longer sub-words" in str(error.value)
    assert "--extra-text" not in str(error.value) and "--splits" not in str(error.value)
    assert "trim the model that the source was cut from" in str(error.value)


@pytest.mark.parametrize("layout", ["gfslt", "cv_slt"])
def test_a_character_alone_can_be_kept_for_any_word(tmp_path, whole, layout):
    """As text it is kept inside longer sub-words, or at the begin of a word alone."""
    dev = ["im nordenf", "in fosten"]
    plain = trim(whole, tmp_path / "plain", TrimText(TRAIN, {"train": TRAIN}), layout=layout)
    assert plain.codec.unknown(dev)["f"] == 2
    text = TrimText(TRAIN, {"train": TRAIN, "dev": dev}, spell=["fenriosd", "t mqf"])
    made = trim(whole, tmp_path / "small", text, layout=layout)
    assert not made.codec.unknown(dev) and made.codec.tokens.count("f") == 1
    assert set(made.codec.tokens) - set(plain.codec.tokens) <= set("fenriosdtm\u2581"), "q has no row"


def test_a_folder_that_is_there_stays(tmp_path, whole, text):
    out = tmp_path / "small"
    out.mkdir()
    trim(whole, out, text)
    before = content(out)
    with pytest.raises(ConfigError, match="there already"):
        trim(whole, out, text)
    assert content(out) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="there already"):
        trim(whole, tmp_path / "file", text)


def _edit(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _configure(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def _record(folder: Path, **changes) -> None:
    record = json.loads((folder / RECORD_FILE).read_text())
    (folder / RECORD_FILE).write_text(json.dumps(record | changes))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("was-run",)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"model.shared.weight": Evil()}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda f: (f / "model.safetensors").unlink(), ConfigError, r"no model\.safetensors"),
        (lambda f: (f / MODEL_FILE).unlink(), ConfigError, r"no .*sentencepiece\.bpe\.model"),
        (lambda f: _truncate(f / "model.safetensors"), CheckpointError, "cannot be read"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), CheckpointError, "cannot be read"),
        (lambda f: _pickle(f), CheckpointError, "cannot be read"),
        (
            lambda f: _edit(f, lambda w: w.update({"model.shared.weight": torch.zeros(149, 16)})),
            CheckpointMismatchError,
            "different sizes",
        ),
        (
            lambda f: _edit(f, lambda w: w.pop("model.encoder.layers.0.fc1.weight")),
            CheckpointMismatchError,
            "not those of the network",
        ),
        (
            lambda f: _edit(f, lambda w: w.pop("model.shared.weight")),
            CheckpointMismatchError,
            "not those of the network",
        ),
        (
            lambda f: _edit(f, lambda w: w.update({"lm_head.weight": torch.zeros(150, 16)})),
            CheckpointMismatchError,
            "are one differ",
        ),
        (lambda f: _configure(f, encoder_layers=2), CheckpointMismatchError, "not those of the network"),
        (lambda f: _configure(f, encoder_ffn_dim=32), CheckpointMismatchError, "other shapes"),
        (lambda f: _configure(f, encoder_attention_heads=3), CheckpointError, "describes no mBART"),
        (lambda f: (f / "generation_config.json").write_text("{"), CheckpointError, "generation_config"),
        (lambda f: _configure(f, vocab_size=151), VocabularyError, "do not belong together"),
    ],
)
def test_a_damaged_source_gives_one_clear_error(tmp_path, whole, text, damage, error, says, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(whole, tmp_path / "mbart")
    damage(folder)
    with pytest.raises(error, match=says):
        trim(folder, tmp_path / "small", text)
    assert [p.name for p in tmp_path.iterdir()] == ["mbart"], "nothing is left behind, and nothing was run"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / TRIMMED_MODEL_FILE).write_bytes(own_model(TRAIN, 100)), "not the file"),
        (lambda f: (f / RECORD_FILE).write_text("{"), "cannot be read"),
        (lambda f: _record(f, keep_ids=[0, 1, 2, 3]), "no de_DE"),
        (lambda f: _record(f, keep_ids=[0, 1, 2, 3, 9999]), "keep_ids does not fit"),
        (lambda f: (f / RECORD_FILE).write_text("{}"), "lacks 'languages'"),
        (lambda f: _configure(f, vocab_size=31), "do not belong together"),
    ],
)
def test_a_damaged_trimmed_folder(tmp_path, whole, text, damage, says):
    folder = trim(whole, tmp_path / "small", text).folder
    damage(folder)
    with pytest.raises(VocabularyError, match=says):
        SubwordCodec.from_pretrained(folder, "de")


def test_rows_are_not_chosen_twice(tmp_path, whole, text):
    folder = trim(whole, tmp_path / "small", text).folder
    with pytest.raises(VocabularyError, match="all rows"):
        SubwordCodec.from_pretrained(folder, "de", keep_ids=[0, 1, 2, 3])


# The real SentencePiece model.


def test_the_real_model_on_phoenix(shared_data, tmp_path):
    import csv

    folder = shared_data / "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual"
    texts = {}
    for split in ("train", "dev", "test"):
        with (folder / f"PHOENIX-2014-T.{split}.corpus.csv").open(encoding="utf-8", newline="") as file:
            texts[split] = [row["translation"] for row in csv.DictReader(file, delimiter="|")]
    model = (shared_data / "mbart/MBart_trimmed" / MODEL_FILE).read_bytes()
    source = tiny_mbart(tmp_path / "mbart", model)
    text = TrimText(texts["train"], texts)
    with pytest.raises(VocabularyError, match=r"whole tokenizer cannot write 'x' either") as error:
        trim(source, tmp_path / "small", text)
    assert "--extra-text" not in str(error.value), "what would not help is not advised"
    made = trim(source, tmp_path / "small", text, allow_unreachable=True)
    assert {split: c.without_row for split, c in made.coverage.items()} == {"train": 0, "dev": 11, "test": 9}
    assert len(made.codec) == 2172 and made.codec.language_ids["de_DE"] == 2148, "as in the released code of SAGE"
    whole = SubwordCodec.from_pretrained(source, "de")
    for text in texts["train"]:
        assert [made.codec.tokens[i] for i in made.codec.subwords(text)] == [
            whole.tokens[i] for i in whole.subwords(text)
        ]
    _same_logits(source, made, texts["train"][:8])

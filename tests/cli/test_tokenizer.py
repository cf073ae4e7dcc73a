"""slt-zoo tokenizer trim: an mBART cut to a corpus, by command."""

from __future__ import annotations

import json
import shutil

import pytest

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.testing import simulated
from slt_zoo.text import SubwordCodec
from slt_zoo.text.subword import MBART_LANGUAGES, MODEL_FILE

__all__ = ["simulated"]  # a fixture


@pytest.fixture
def root(simulated, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(simulated("Phoenix14T", samples=(8, 4, 4), seed=3), copy)
    return copy


@pytest.fixture
def mbart(root, tmp_path):
    """A tiny mBART whose tokenizer knows more than the corpus."""
    from transformers import MBartConfig, MBartForConditionalGeneration

    samples = [s for split in ("train", "dev", "test") for s in Phoenix14T(str(root)).manifest(split)]
    texts = [s.text for s in samples] + [" ".join(s.gloss).lower() for s in samples] + ["zyx qjv wortß"]
    codec = SubwordCodec.fit(texts, 400, "de", languages=MBART_LANGUAGES)
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 1, "decoder_attention_heads": 1}
    widths = {"d_model": 8, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    config = MBartConfig(vocab_size=len(codec), **sizes, **widths)
    MBartForConditionalGeneration(config).save_pretrained(tmp_path / "mbart")
    (tmp_path / "mbart" / MODEL_FILE).write_bytes(codec.model)
    return tmp_path / "mbart"


@pytest.fixture
def words(mbart, root, tmp_path):
    small = ["--model", str(mbart), "--corpus", "Phoenix14T", "--root", str(root), "--out", str(tmp_path / "small")]
    return ["tokenizer", "trim", *small]


def record(tmp_path):
    return json.loads((tmp_path / "small/trim.json").read_text(encoding="utf-8"))


def tokens(folder):
    return SubwordCodec.from_pretrained(folder, "de").tokens


def test_trimming(words, root, tmp_path, mbart, capsys):
    dev = next(root.rglob("PHOENIX-2014-T.dev.corpus.csv"))
    rows = [line.split("|") for line in dev.read_text("utf-8").splitlines()]
    rows[1][-1] = "zyx"  # no text of train has its sub-words
    dev.write_text("\n".join("|".join(row) for row in rows), encoding="utf-8")
    assert main([*words, "--allow-unreachable"]) == 0
    shown, found = capsys.readouterr().out, record(tmp_path)
    small = tokens(tmp_path / "small")
    assert f"{len(small)} of {len(tokens(mbart))} rows" in shown and "train: 8 texts, 100.00% of" in shown
    assert found["layout"] == "gfslt" and found["text"]["splits"] == ["train"] and found["text"]["simulated"] is True
    assert list(found["coverage"]) == ["train", "dev", "test"] and found["coverage"]["train"]["without_row"] == 0
    codec = SubwordCodec.from_pretrained(tmp_path / "small", "de")
    for split, covered in found["coverage"].items():
        texts = [s.text for s in Phoenix14T(str(root)).manifest(split)]
        back = codec.decode(codec.encode(texts).padded(codec.pad_id)[0])
        changed = sum(a != b for a, b in zip(texts, back, strict=True))
        assert covered["texts_changed"] == changed == covered["texts_touched"] and covered["texts_normalised"] == 0
        assert f"; {changed} texts do not come back: {changed} hold a sub-word without a row" in shown
    assert found["coverage"]["dev"]["texts_changed"] > 0
    assert main([*words, "--allow-unreachable"]) == 2
    assert "there already" in capsys.readouterr().err


def test_what_is_read(words, tmp_path, capsys):
    extra = tmp_path / "more.txt"
    extra.write_text("zyx\nqjv wortß\n", encoding="utf-8")
    more = ["--splits", "train", "val", "test", "--also", "gloss", "--extra-text", str(extra), "--layout", "cv_slt"]
    assert main([*words, *more]) == 0, "nothing is unreachable"
    found, small = record(tmp_path), tokens(tmp_path / "small")
    assert found["text"]["splits"] == ["train", "dev", "test"] and found["text"]["also"] == ["gloss"]
    assert list(found["text"]["extra_text_sha256"]) == ["more.txt"] and found["layout"] == "cv_slt"
    assert all(c["without_row"] == 0 for c in found["coverage"].values())
    assert small[4] == "ar_AR" and small[29] == "<mask>" and any("ß" in token for token in small[30:])
    assert {"z", "q", "ß"} <= set(small), "each character of more.txt by itself"


def test_unreachable_characters_are_refused(words, root, tmp_path, capsys):
    dev = next(root.rglob("PHOENIX-2014-T.dev.corpus.csv"))
    rows = [line.split("|") for line in dev.read_text("utf-8").splitlines()]
    rows[1][-1] = "漢 漢"
    dev.write_text("\n".join("|".join(row) for row in rows), encoding="utf-8")
    assert main([*words, "--splits", "train", "dev", "test"]) == 2
    said = capsys.readouterr().err
    assert "dev: '漢' (2)" in said and "--allow-unreachable" in said and not (tmp_path / "small").exists()


def test_a_split_without_annotation(words, root, tmp_path, caplog, capsys):
    next(root.rglob("PHOENIX-2014-T.test.corpus.csv")).unlink()
    assert main([*words, "--allow-unreachable"]) == 0
    assert "test is not measured" in caplog.text and list(record(tmp_path)["coverage"]) == ["train", "dev"]
    shutil.rmtree(tmp_path / "small")
    assert main([*words, "--splits", "test", "--allow-unreachable"]) == 2
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--layout", "gflst"], "did you mean gfslt"),
        (["--splits", "trian"], "unknown split 'trian'"),
        (["--also", "question"], "no questions"),
        (["--extra-text", "no-such.txt"], "no such file"),
        (["--model", "no-such-folder"], "no such folder of a model"),
        (["--corpus", "Phoenix"], "unknown corpus"),
    ],
)
def test_mistakes(words, more, says, capsys):
    assert main([*words, *more]) == 2
    assert says in capsys.readouterr().err


def test_the_job_must_be_named(capsys):
    assert main(["tokenizer"]) == 2 and main(["tokenizer", "trm"]) == 2
    assert "did you mean trim" in capsys.readouterr().err

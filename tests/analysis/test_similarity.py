"""`token_similarity` and `align_split`: numbers out of a model, alone and in batches; the figure; ``slt-zoo align``."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from slt_zoo import SAGE, Phoenix14T, SAGEPretraining, load
from slt_zoo.analysis import align_split, alignment_figure, token_similarity
from slt_zoo.analysis.alignment import align, alignment_stats, unmatched
from slt_zoo.analysis.figures import to_svg
from slt_zoo.cli import main
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import ConfigError
from slt_zoo.metrics.retrieval import retrieval_scores
from slt_zoo.testing import quick_trainer, simulated
from slt_zoo.text.mbart import MBartSizes
from slt_zoo.types import Clip, Sample

__all__ = ["simulated"]  # a fixture

MBART = MBartSizes(
    d_model=32, encoder_layers=1, decoder_layers=1, encoder_heads=2, decoder_heads=2, encoder_ffn=64, decoder_ffn=64,
    dropout=0.0, seed=0, init_std=0.3,
)  # fmt: skip
POSES = {"modality": "pose", "embed_dim": 32, "width": 32, "augment": 0.0}
STAGE1 = {**POSES, "teacher": MBART, "vocabulary": 60, "te_layers": 1, "te_heads": 2, "te_ffn": 64}


@pytest.fixture(scope="module")
def root(simulated):
    return str(simulated("Phoenix14T", samples=(8, 6, 6), seed=3, difficulty=0.0))


def corpus(root, **arguments):
    return Phoenix14T(root, segments="labels", **arguments)


def prepared(root, **arguments):
    torch.manual_seed(0)
    return SAGEPretraining(**{**STAGE1, **arguments}).prepare(corpus(root))


@pytest.fixture(scope="module")
def model(root):
    return prepared(root)


@pytest.fixture(scope="module")
def checkpoint(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    trainer = quick_trainer(folder, max_steps=1, limit_val_batches=0)
    trainer.fit(SAGEPretraining(**STAGE1), datamodule=corpus(root, batch_size=4))
    trainer.save_checkpoint(folder / "best.ckpt")
    return folder


def sides_of(model, data, sample_id, level):
    """Visual and text tokens of a sample, by another way than that under test."""
    (batch,) = [b for b in corpus_batches(model, data) if b.id == [sample_id]]
    with torch.no_grad():
        tokens, hidden, _ = model.eval().network(*model.rows_of(batch))
    text = model.teacher(batch.text)
    return ((tokens, text[0]) if level == "embedding" else (hidden, text[1])), batch.text[0]


def corpus_batches(model, data):
    data.eval_batch_size = 1
    data.bind(model.input_spec, ["test"])
    return data.loader("test")


@pytest.mark.parametrize("level", ["embedding", "hidden"])
@pytest.mark.parametrize("target", ["sentence", "pseudo_gloss"])
def test_one_sample(root, level, target):
    model, data = prepared(root, text_target=target), corpus(root)
    sample_id = data.manifest("test").ids[2]
    found = token_similarity(model, data, sample_id, level=level, words=False)
    np.testing.assert_allclose(found.weight.sum(1), 1, rtol=1e-12)
    (video, text), sentence = sides_of(model, data, sample_id, level)
    video, text = video[0].double(), text.values.double()
    np.testing.assert_allclose(found.weight, (video @ text.T).softmax(1), atol=1e-5)
    np.testing.assert_allclose(found.cosine, torch.cosine_similarity(video[:, None], text[None], dim=-1), atol=1e-5)
    assert [name.strip("\u2581") for name in found.text] == model.teacher.pieces(sentence)
    (said,) = model.teacher.targets([sentence])
    assert len(found.text) == len(model.codecs["text"].subwords(said)), "the labels are those of the tokenisation"


def test_the_same_alone_and_in_a_padded_batch(root, model):
    whole = align_split(model, corpus(root, eval_batch_size=6), level="hidden", words=False)
    assert len({a.weight.shape for a in whole.alignments}) > 1, "clips of one size would need no padding"
    for one in whole.alignments:
        alone = token_similarity(model, corpus(root), one.id, level="hidden", words=False)
        assert alone.text == one.text
        np.testing.assert_allclose(alone.weight, one.weight, atol=1e-5)
        np.testing.assert_allclose(alone.cosine, one.cosine, atol=1e-5)


def test_words_are_the_words_of_the_text(root):
    model, data = prepared(root, text_target="sentence"), corpus(root)
    sample = data.manifest("test")[0]
    pieces, words = (token_similarity(model, data, sample.id, words=joined) for joined in (False, True))
    assert words.text == tuple(sample.text.split()) and len(pieces.text) > len(words.text)
    np.testing.assert_allclose(words.weight.sum(1), 1)
    columns = model.teacher.words(sample.text)
    assert [c for word in columns for c in word] == list(range(len(pieces.text)))
    for j, word in enumerate(columns):
        np.testing.assert_allclose(words.weight[:, j], pieces.weight[:, word].sum(1))
        np.testing.assert_allclose(words.cosine[:, j], pieces.cosine[:, word].mean(1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("am tag", ["am", "tag"]),
        ("am €tag", ["am", "<unk>", "tag"]),  # a piece without a row stands alone
        ("€", ["<unk>"]),
        ("tag", ["tag"]),
    ],
    ids=["two", "unknown", "alone", "one"],
)
def test_pieces_of_words(root, text, words):
    teacher = prepared(root, text_target="sentence").teacher
    pieces = teacher.pieces(text)
    assert ["".join(pieces[c] for c in word) for word in teacher.words(text)] == words


def test_text_without_spaces_keeps_its_pieces(root, monkeypatch):
    model = prepared(root, text_target="sentence")
    monkeypatch.setattr(model.teacher, "target", "sentence")
    data = corpus(root)
    sample_id = data.manifest("test").ids[0]
    monkeypatch.setattr(model.teacher, "targets", lambda texts: ["".join(t.split()) for t in texts])
    found = token_similarity(model, data, sample_id, words=True)
    assert len(found.text) > 1 and len(model.teacher.words(data.manifest("test").by_id(sample_id).text)) == 1


class TestSpans:
    def test_of_segments(self, root, model):
        data = corpus(root)
        found = token_similarity(model, data, data.manifest("test").ids[0], words=False)
        assert len(found.spans) == len(found.weight)
        begins = [a for a, _ in found.spans]
        assert begins == sorted(begins) and all(0 < b - a <= 10 for a, b in found.spans)
        assert all(end <= begin for (_, end), (begin, _) in zip(found.spans, found.spans[1:], strict=False))

    @pytest.mark.parametrize("tokenization", ["maxpool", "stride", "uniform", "window"])
    def test_of_fixed_schemes(self, root, tokenization):
        model, data = prepared(root, tokenization=tokenization), Phoenix14T(root)
        sample = data.manifest("test")[0]
        found = token_similarity(model, data, sample.id, words=False)
        frames = open_reader("pose", sample.media["pose"], sample_id=sample.id).num_frames
        assert len(found.spans) == len(found.weight)
        assert found.spans[0][0] == 0 and frames - 4 < max(end for _, end in found.spans) <= frames

    def test_features_of_several_frames(self, model):
        from slt_zoo.analysis.similarity import token_spans
        from slt_zoo.types import Media

        sample = Sample(
            id="a", split="test", text="a", language="de", sign_language="gsg", media={"pose": Media("p", stride=4)}
        )
        clip = Clip(sample, index=torch.tensor([1, 3, 5, 6]), segments=torch.tensor([[0, 2], [2, 4]]))
        assert token_spans(model, clip) == [(4, 16), (20, 28)]


def test_a_split(root, model):
    data = corpus(root, eval_batch_size=4)
    found = align_split(model, data, words=True)
    assert [a.id for a in found.alignments] == list(data.manifest("test").ids)
    stats = [alignment_stats(a) for a in found.alignments]
    assert found.stats.video_max == pytest.approx(np.mean([s.video_max for s in stats]))
    assert found.stats.order == pytest.approx(np.nanmean([s.order for s in stats]))
    left = sum(len(unmatched(a)) for a in found.alignments)
    assert found.unmatched_share() == pytest.approx(left / sum(len(a.text) for a in found.alignments))
    assert set(found.retrieval) == set(retrieval_scores(np.eye(2), "ab"))
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["simulated"] and set(plain["of_samples"]) == {a.id for a in found.alignments}


def test_retrieval_is_that_of_training(root, tmp_path):
    model = prepared(root)
    (logged,) = quick_trainer(tmp_path).validate(model, datamodule=corpus(root), verbose=False)
    found = align_split(model, corpus(root), "dev", words=False)
    assert {f"dev/{k}": pytest.approx(v) for k, v in found.retrieval.items()} == {
        k: v for k, v in logged.items() if "2t_" in k or "2v_" in k
    }


def test_the_level_is_what_was_trained(root):
    model, data = prepared(root, dual_supervision=False), corpus(root)
    sample_id = data.manifest("test").ids[0]
    default = token_similarity(model, data, sample_id, words=False)
    hidden = token_similarity(model, data, sample_id, level="hidden", words=False)
    np.testing.assert_array_equal(default.weight, hidden.weight)


class TestWhatCannotBe:
    def test_an_unknown_sample(self, root, model):
        data = corpus(root)
        near = data.manifest("test").ids[0]
        with pytest.raises(ConfigError, match="test has no sample") as told:
            token_similarity(model, data, near + "x")
        assert near in str(told.value)

    def test_hidden_states_without_a_context(self, root):
        model, data = prepared(root, te_layers=0), corpus(root)
        with pytest.raises(ConfigError, match="te_layers=0"):
            align_split(model, data, level="hidden")
        assert token_similarity(model, data, data.manifest("test").ids[0]).weight.size

    def test_a_level_that_nobody_knows(self, root, model):
        with pytest.raises(ConfigError, match="embedding or hidden"):
            align_split(model, corpus(root), level="embeddings")

    def test_stage_two(self, root):
        model = SAGE(**POSES, mbart=MBART, vocabulary=60).prepare(corpus(root))
        with pytest.raises(ConfigError, match="first stage of SAGE"):
            align_split(model, corpus(root))

    def test_a_model_without_a_network(self, root):
        with pytest.raises(ConfigError, match="no network yet"):
            align_split(SAGEPretraining(**STAGE1), corpus(root))


class TestFigure:
    WEIGHTS, SPANS = np.array([[9.0, 0, 0], [0, 9, 0], [8, 0, 0]]), [(0, 5), (5, 9), (9, 12)]
    ALIGNMENT = align("a$1$", WEIGHTS, np.eye(3), ["regen", "今天", "$x$"], SPANS)

    def test_names_spans_and_what_is_left_over(self):
        svg = to_svg(alignment_figure(self.ALIGNMENT))
        text = ["".join(e.itertext()) for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]
        for expected in ("regen", "今天", "($x$)", "0\u20134", "5\u20138", "9\u201311"):
            assert expected in text
        assert any("a$1$" in t for t in text)
        assert svg == to_svg(alignment_figure(self.ALIGNMENT)), "the same numbers give the same bytes"

    def test_without_spans_tokens_are_counted(self):
        bare = align("b", np.eye(2), np.eye(2), "xy")
        axes = alignment_figure(bare, title="mine").axes[1]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1"]

    def test_in_words(self):
        said = self.ALIGNMENT.describe()
        assert "frames 0 to 4: 'regen' 1.00" in said and said.endswith("of weight: '$x$'")
        assert align("b", np.eye(2) * 9, np.eye(2), "xy").describe().endswith("of weight: none")


class TestCommand:
    def words(self, root, checkpoint, *more):
        places = ["--checkpoint", str(checkpoint), "--corpus", "Phoenix14T", "--root", root, "--segments", "labels"]
        return ["align", *places, *more]

    def test_numbers_and_figures(self, root, checkpoint, capsys):
        assert main(self.words(root, checkpoint, "--figures", "2", "--split", "dev")) == 0
        said = capsys.readouterr().out
        assert "6 samples, embedding level" in said and "no sign language" in said and "R@1" in said
        written = json.loads((checkpoint / "alignment-dev" / "alignment.json").read_text(encoding="utf-8"))
        data = corpus(root)
        expected = align_split(load(checkpoint / "best.ckpt"), data, "dev", words=True).to_dict()
        assert {k: v for k, v in written.items() if k != "figures"} == expected
        assert len(written["figures"]) == 2
        for name, figure in written["figures"].items():
            ET.parse(checkpoint / "alignment-dev" / figure["file"])
            assert figure["description"].startswith(name)

    def test_samples_and_level_that_are_asked_for(self, root, checkpoint, tmp_path):
        sample_id = corpus(root).manifest("test").ids[1]
        more = ["--ids", sample_id, "--level", "hidden", "--subwords", "--out", str(tmp_path / "o")]
        assert main(self.words(root, checkpoint / "best.ckpt", *more)) == 0
        written = json.loads((tmp_path / "o" / "alignment.json").read_text(encoding="utf-8"))
        assert list(written["figures"]) == [sample_id] and written["level"] == "hidden"

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            (("--ids", "nobody"), "test has no sample 'nobody'"),
            (("--split", "tset"), "tset"),
            (("--level", "hiden"), "did you mean hidden?"),
            (("--batch-size", "0"), "--batch-size at least 1"),
        ],
        ids=["id", "split", "level", "batch"],
    )
    def test_mistakes(self, root, checkpoint, tmp_path, capsys, more, told):
        assert main(self.words(root, checkpoint, *more, "--out", str(tmp_path / "o"))) == 2
        assert told in capsys.readouterr().err and not (tmp_path / "o").exists()

    def test_a_checkpoint_of_stage_two(self, root, tmp_path, capsys):
        trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
        trainer.fit(SAGE(**POSES, mbart=MBART, vocabulary=60), datamodule=corpus(root))
        trainer.save_checkpoint(tmp_path / "best.ckpt")
        assert main(self.words(root, tmp_path)) == 2
        said = capsys.readouterr().err
        assert "first stage of SAGE" in said and "SAGEPretraining" in said and "pretrain" in said

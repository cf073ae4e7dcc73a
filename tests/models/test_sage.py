"""SAGE: the contract of all models for both stages, and the numbers of its specification, section 12."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

import pytest
import torch

from slt_zoo import SAGE, SAGEPretraining
from slt_zoo.errors import CheckpointMismatchError, ConfigError, MediaError
from slt_zoo.layers.seq2seq import Seq2Seq
from slt_zoo.losses import clcl_loss, clcl_similarity
from slt_zoo.models.sage_net import ContextEncoder, Mapper, SAGENet, SAGEPretrainingNet, VisualEncoder
from slt_zoo.testing import ModelContract, quick_trainer, simulated
from slt_zoo.text.mbart import MBART_LARGE, MBartSizes, build_mbart
from slt_zoo.types import Batch, Ragged

__all__ = ["simulated"]  # a fixture

TINY = MBartSizes(
    d_model=32,
    encoder_layers=1,
    decoder_layers=1,
    encoder_heads=2,
    decoder_heads=2,
    encoder_ffn=64,
    decoder_ffn=64,
    dropout=0.0,
    seed=0,
)
VISUAL: dict[str, Any] = {
    "modality": "pose",
    "embed_dim": 32,
    "width": 32,
    "mapper_dropout": 0.0,
    "freeze_norm": True,
    "augment": 0.0,
}
STAGE1: dict[str, Any] = {
    **VISUAL,
    "teacher": TINY,
    "text_target": "sentence",
    "te_layers": 1,
    "te_heads": 2,
    "te_ffn": 64,
    "te_dropout": 0.0,
}
STAGE2: dict[str, Any] = {**VISUAL, "mbart": TINY, "dropout": 0.0, "max_new_tokens": 30, "beam_size": 1}


class TestPretraining(ModelContract):
    model_class = SAGEPretraining
    equality_rate: ClassVar = 0.01
    of_a_batch: ClassVar = ("dev/loss", "dev/loss_ce", "dev/loss_hs")
    arguments: ClassVar = STAGE1
    data_arguments: ClassVar = {"segments": "labels"}


class TestTranslation(ModelContract):
    model_class = SAGE
    arguments: ClassVar = STAGE2
    data_arguments: ClassVar = {"segments": "labels"}


class TestTranslationOfFrames(TestTranslation):
    arguments: ClassVar = {
        **STAGE2,
        "modality": "frames",
        "encoder": "test_resnet.r160_in1k",
        "frame_size": 48,
        "crop": 40,
    }
    simulation: ClassVar = {**ModelContract.simulation, "render": ("frames",), "frame_size": (48, 48)}

    def test_eight_clips_are_learnt_by_heart(self, simulated, tmp_path, monkeypatch):
        # an image encoder without weights learns little without the statistics of batch norm
        monkeypatch.setattr(type(self), "arguments", {**self.arguments, "freeze_norm": False})
        super().test_eight_clips_are_learnt_by_heart(simulated, tmp_path)


# The networks, without data.

WIDTH = 16


def clips(*lengths, width=6, seed=0):
    """Rows ``(T, width)`` of clips, in segments of four."""
    generator = torch.Generator().manual_seed(seed)
    rows = Ragged.pack([torch.randn(n, width, generator=generator) for n in lengths])
    cut = [torch.tensor([[a, min(a + 4, n)] for a in range(0, n, 4)]) for n in lengths]
    return rows, Ragged.pack(cut)


def visual(**arguments):
    torch.manual_seed(0)
    return VisualEncoder(None, 6, width=WIDTH, mapper_dropout=0.0, **arguments)


def context(layers=1):
    return ContextEncoder(WIDTH, layers, heads=2, ffn=32, dropout=0.0, max_positions=12)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: VisualEncoder("resnet34", None).rows, 21_284_672),
        (lambda: VisualEncoder("resnet18", None).rows, 11_176_512),
        (lambda: VisualEncoder("resnet34", None).tokens, 2_624_512),
        (lambda: Mapper(1024, "paper"), 3_154_944),
        (lambda: Mapper(1024, "code"), 3_152_896),
        (lambda: ContextEncoder(layers=12, heads=16, activation="gelu"), 152_209_408),
        (lambda: ContextEncoder(), 38_843_392),
        (lambda: stage1(None), 27_062_081),
        (lambda: stage1(ContextEncoder()), 65_905_474),
        (lambda: stage1(ContextEncoder(layers=12, heads=16, activation="gelu")), 179_271_490),
        (lambda: stage2(2172), 384_110_400),
        (lambda: stage2(2454), 384_399_168),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "net",
)
def test_the_published_numbers_of_parameters(make, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in make().parameters()) == count


def stage1(te):
    return SAGEPretrainingNet(VisualEncoder("resnet34", None), te, scale_init=0.0, scale_max=None)


class Rows:
    """A vocabulary of a size."""

    pad_id, eos_id, unk_id, bos_id = 1, 2, 3, 4

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


def stage2(rows):
    return SAGENet(VisualEncoder("resnet34", None), Seq2Seq(build_mbart(MBART_LARGE, Rows(rows))))


def test_a_scale_above_its_bound_is_learnt_again(simulated, tmp_path):
    """Where it is clamped it has no gradient, and would stay there for ever."""
    contract = TestPretraining()
    model = contract.make_model(optimizer=lambda p: torch.optim.SGD(p, lr=0.1)).prepare(contract.make_data(simulated))
    model.network.scale_ce.log.data.fill_(50.0)
    quick_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(model, datamodule=contract.make_data(simulated))
    log = model.network.scale_ce.log.item()
    assert log < 5 and log != pytest.approx(math.log(100), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, True),
        ({"init_from": [{"path": "text.ckpt", "map": {"net.seq2seq.": "net.seq2seq."}}]}, True),
        ({"init_from": [{"path": "first.ckpt", "map": {"net.visual.": "net.visual."}}]}, False),
        ({"stage2_init": "none"}, False),
        ({"pretraining": "first.ckpt"}, False),
    ],
    ids=["nothing", "text alone", "visual", "none meant", "pretraining"],
)
def test_a_visual_encoder_that_begins_with_random_weights_is_told(arguments, told):
    model = SAGE(mbart=TINY, **arguments)
    assert model._bare == told


def test_random_weights_are_told_at_the_begin_of_training(simulated, tmp_path):
    contract = TestTranslation()
    with pytest.warns(UserWarning, match="begins with random weights"):
        quick_trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(
            contract.make_model(), datamodule=contract.make_data(simulated)
        )


def test_an_evaluation_encodes_once(simulated):
    contract = TestTranslation()
    data = contract.make_data(simulated)
    model, batch = contract.prepared(data), contract.batch(data)
    calls = []
    model.network.visual.register_forward_hook(lambda *_: calls.append(1))
    losses, hypotheses = model.evaluate(batch)
    assert len(calls) == 1
    assert losses.total.item() == pytest.approx(model.losses(batch).total.item())
    assert hypotheses == {"": model.translate(batch)} and len(calls) == 3


def test_gradients_go_where_the_losses_weigh():
    """Specification, section 12, 10."""
    rows, segments = clips(9, 12)
    text = torch.randn(2, 3, WIDTH, requires_grad=True)
    for beta, idle in ((1.0, ("context.", "scale_hs.")), (0.0, ("scale_ce.",))):
        net = SAGEPretrainingNet(visual(), context(), scale_init=1.0, scale_max=None)
        tokens, hidden, mask = net(rows, segments)
        scale = net.scales()
        valid = torch.ones(2, 3, dtype=torch.bool)
        both = [
            clcl_loss(*clcl_similarity(side, mask, text.detach(), valid), s)
            for side, s in zip((tokens, hidden), scale, strict=True)
        ]
        (beta * both[0] + (1 - beta) * both[1]).backward()
        for name, parameter in net.named_parameters():
            moved = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
            assert moved != name.startswith(idle), name
    assert text.grad is None


def test_parts_replay_their_dropout():
    """What the loss saw is what is differentiated: GradCache with the draws of the first pass."""
    rows, segments = clips(9, 5, 12, 7, 4)
    text, valid = torch.linspace(-1, 1, 5 * 3 * WIDTH).view(5, 3, WIDTH), torch.ones(5, 3, dtype=torch.bool)
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        encoder = VisualEncoder(None, 6, width=WIDTH, mapper_dropout=0.3, freeze_norm=True).train()
        torch.manual_seed(1)
        if checkpointed:
            tokens = encoder.in_parts(rows, segments, 1)
        else:
            tokens = Ragged.pack([encoder(*some(rows, segments, clip)).values for clip in range(5)])
        padded, mask = tokens.padded()
        loss = clcl_loss(*clcl_similarity(padded, mask, text, valid), 10.0)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in encoder.parameters())])
    for kept, replayed in zip(*found, strict=True):
        torch.testing.assert_close(replayed, kept, rtol=0, atol=1e-6)


@pytest.mark.parametrize("part", [1, 2, 3, 5])
def test_any_number_of_parts_equals_one_large_batch(part):
    rows, segments = clips(9, 5, 12, 7, 4)
    found = []
    for clips_at_a_time in (None, part):
        encoder = visual(freeze_norm=True).train()
        padded, mask = encoder.in_parts(rows, segments, clips_at_a_time).padded()
        text = torch.linspace(-1, 1, 5 * 3 * WIDTH).view(5, 3, WIDTH)
        loss = clcl_loss(*clcl_similarity(padded, mask, text, torch.ones(5, 3, dtype=torch.bool)), 10.0)
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in encoder.parameters())])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)


def some(rows, segments, clip):
    return Ragged.pack([rows.split()[clip]]), Ragged.pack([segments.split()[clip]])


@pytest.mark.parametrize("kind", ["paper", "code"])
def test_the_paper_s_mapper_cannot_be_far_below_zero_and_the_code_s_can(kind):
    torch.manual_seed(0)
    lowest = Mapper(64, kind, 0.0)(torch.randn(200, 64)).min().item()
    assert (lowest > -0.18) == (kind == "paper")


def test_more_tokens_than_positions():
    net = SAGEPretrainingNet(visual(), context(), scale_init=1.0, scale_max=None)
    net(*clips(48))
    with pytest.raises(MediaError, match="13 visual tokens; the network has 12 positions"):
        net(*clips(50))


def test_a_batch_of_one_has_nothing_to_be_told_apart_from(simulated):
    contract = TestPretraining()
    model = contract.prepared(contract.make_data(simulated)).train()
    losses = model.losses(Batch.collate(contract.clips(contract.make_data(simulated), 1)))
    assert losses.total.item() == 0
    losses.total.backward()


def test_official_names_go_and_come_back(simulated):
    contract = TestTranslationOfFrames()
    for cls, arguments in ((SAGEPretraining, FRAMES1), (SAGE, FRAMES2)):
        data = contract.make_data(simulated)
        model = cls(**arguments).prepare(data)
        theirs = model.to_official()
        again = cls.from_official(theirs, codec=model.codecs["text"], facts=model.facts, **arguments)
        for name, value in model.state_dict().items():
            assert torch.equal(value, again.state_dict()[name]), name
        with pytest.raises(CheckpointMismatchError, match="not the weights of"):
            cls.from_official(
                {"nothing.known": torch.zeros(1)}, codec=model.codecs["text"], facts=model.facts, **arguments
            )
    with pytest.raises(CheckpointMismatchError, match="look like those of SAGE"):
        SAGEPretraining.from_official(theirs, codec=model.codecs["text"], facts=model.facts, **FRAMES1)


RESNET = {"modality": "frames", "encoder": "resnet34", "frame_size": 48, "crop": 40}
FRAMES1, FRAMES2 = {**STAGE1, **RESNET}, {**STAGE2, **RESNET}


def test_released_checkpoints_have_these_names(simulated):
    """The names of the released code (specification, section 13), with the shapes of its stage 1 and 2."""
    contract = TestTranslationOfFrames()
    model = SAGEPretraining(**FRAMES1).prepare(contract.make_data(simulated))
    names = set(model.to_official())
    assert {
        "model_images.model.conv_2d.resnet.conv1.weight",
        "model_images.model.conv_2d.resnet.layer4.2.bn2.running_var",
        "model_images.model.conv_1d.temporal_conv.0.bias",
        "model_images.model.conv_1d.temporal_conv.1.running_mean",
        "model_images.vis_lang_proj.0.norm.weight",
        "model_images.vis_lang_proj.3.fc1.bias",
        "model_images.vis_lang_proj.6.weight",
        "model_images.global_encoder.layers.0.self_attn.k_proj.weight",
        "model_images.global_encoder.embed_positions.weight",
        "logit_scale_input",
        "logit_scale",
    } <= names
    from torchvision.models import resnet34

    with torch.device("meta"):
        theirs = {f"model_images.model.conv_2d.resnet.{n}" for n in resnet34().state_dict() if not n.startswith("fc.")}
    assert {n for n in names if ".conv_2d." in n} == theirs
    beside = {**model.to_official(), "model_images.global_encoder.embed_tokens.weight": torch.zeros(7, 32)}
    SAGEPretraining.from_official(beside, codec=model.codecs["text"], facts=model.facts, **FRAMES1)


@pytest.mark.parametrize("what", ["vle", "vle_te", "none"])
def test_stage_two_takes_what_it_says(what, simulated, tmp_path):
    contract = TestPretraining()
    data = contract.make_data(simulated)
    first = SAGEPretraining(**{**STAGE1, "te_ffn": 64, "te_activation": "gelu", "max_positions": 256})
    trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    trainer.fit(first, datamodule=data)
    trainer.save_checkpoint(tmp_path / "first.ckpt")
    arguments = {**STAGE2, "pretraining": str(tmp_path / "first.ckpt"), "stage2_init": what}
    torch.manual_seed(3)
    second = SAGE(**arguments).prepare(contract.make_data(simulated))
    torch.manual_seed(3)
    alone = SAGE(**STAGE2).prepare(contract.make_data(simulated)).state_dict()
    theirs, own = first.state_dict(), second.state_dict()
    encoder = "net.seq2seq.mbart.model.encoder."
    for name, value in own.items():
        if name.startswith("net.visual.") and what != "none":
            assert torch.equal(value, theirs[name])
        elif name.startswith(encoder) and "embed_tokens" not in name and what == "vle_te":
            assert torch.equal(value, theirs["net.context.encoder." + name.removeprefix(encoder)])
        else:
            assert torch.equal(value, alone[name]), name
    assert len(second.hparams["initialised_from"]) == (0 if what == "none" else 1)


def test_a_first_stage_of_another_size(simulated, tmp_path):
    contract = TestPretraining()
    first = SAGEPretraining(**{**STAGE1, "embed_dim": 16})
    trainer = quick_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    trainer.fit(first, datamodule=contract.make_data(simulated))
    trainer.save_checkpoint(tmp_path / "first.ckpt")
    with pytest.raises(CheckpointMismatchError, match="other shapes"):
        SAGE(**STAGE2, pretraining=str(tmp_path / "first.ckpt")).prepare(contract.make_data(simulated))


def test_profiles_decide_what_is_not_given():
    chosen = {p: SAGEPretraining(profile=p, teacher=TINY).hparams for p in ("slt_zoo", "paper", "code")}
    assert [chosen[p]["beta"] for p in chosen] == [0.6, 0.6, 0.5]
    assert [chosen[p]["mapper"] for p in chosen] == ["code", "paper", "code"]
    assert [chosen[p]["legacy_mask"] for p in chosen] == [False, False, True]
    assert [chosen[p]["text_target"] for p in chosen] == ["pseudo_gloss", "pseudo_gloss", "sentence"]
    assert SAGEPretraining(profile="code", teacher=TINY, beta=0.9).hparams["beta"] == 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "mine"},
        {"beta": 1.5},
        {"te_layers": 0, "dual_supervision": False},
        {"crop": 300},
        {"clips_at_a_time": 0},
        {"tokenization": "maxpool", "reduction_factor": 8},
        {"min_len": 11},
    ],
)
def test_arguments_that_cannot_be(wrong):
    with pytest.raises(ConfigError):
        SAGEPretraining(teacher=TINY, **wrong)


def test_widths_that_differ(simulated):
    contract = TestTranslation()
    with pytest.raises(ConfigError, match="different widths"):
        SAGE(**{**STAGE2, "width": 64}).prepare(contract.make_data(simulated))


@pytest.mark.parametrize("tokenization", ["maxpool", "stride", "uniform", "window"])
@pytest.mark.parametrize("loss", ["clcl", "clip"])
def test_every_tokenization_and_loss_trains(tokenization, loss, simulated):
    contract = TestPretraining()
    data = contract.make_data(simulated, segments=None)
    model = SAGEPretraining(**STAGE1, tokenization=tokenization, loss=loss).prepare(data)
    losses = model.losses(next(iter(data.loader("train", training=True))))
    losses.total.backward()
    assert losses.total.isfinite() and all(p.grad is not None for p in model.net.visual.parameters())


def test_the_contrast_of_a_split_does_not_depend_on_its_batches(simulated, tmp_path):
    contract, found = TestPretraining(), []
    for size in (1, 3, 4):
        data = contract.make_data(simulated, eval_batch_size=size)
        torch.manual_seed(0)
        model = contract.make_model(alpha=0.3).prepare(data)
        trainer = quick_trainer(tmp_path)
        trainer.validate(model, datamodule=data, verbose=False)
        found.append({name: value.item() for name, value in trainer.callback_metrics.items()})
    assert [f["dev/contrast"] for f in found] == pytest.approx([found[2]["dev/contrast"]] * 3, abs=1e-5)
    assert found[2]["dev/contrast"] == pytest.approx(found[2]["dev/loss_ce"], abs=1e-5), "one batch is the split"
    assert found[0]["dev/loss_ce"] == 0 < found[0]["dev/contrast"]


@pytest.mark.parametrize("weighs", [{"beta": 0.2}, {"dual_supervision": False}, {"te_layers": 0}], ids=str)
def test_the_contrast_of_a_split_is_the_loss_that_weighs_most(weighs, simulated, tmp_path):
    contract = TestPretraining()
    data = contract.make_data(simulated, eval_batch_size=4)
    trainer = quick_trainer(tmp_path)
    trainer.validate(contract.make_model(**weighs).prepare(data), datamodule=data, verbose=False)
    name = "dev/loss_ce" if "te_layers" in weighs else "dev/loss_hs"
    found = {name: value.item() for name, value in trainer.callback_metrics.items()}
    assert found["dev/contrast"] == pytest.approx(found[name], abs=1e-5)


@pytest.mark.parametrize("size", ["batch_size", "frames_per_batch"])
def test_accumulation_that_adds_no_negatives_is_told_once(size, simulated, tmp_path):
    contract = TestPretraining()
    data = contract.make_data(simulated, batch_size=2, frames_per_batch=100 if size == "frames_per_batch" else None)
    for batches in (1, 4):
        trainer = quick_trainer(tmp_path, max_epochs=2, limit_val_batches=0, accumulate_grad_batches=batches)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer.fit(contract.make_model(), datamodule=data)
        told = [str(w.message) for w in caught if "adds no negatives" in str(w.message)]
        assert len(told) == (batches > 1)
    more = "data.batch_size=8" if size == "batch_size" else "data.frames_per_batch=400"
    assert more in told[0] and "model.clips_at_a_time=2" in told[0]


def test_retrieval_of_a_split_is_logged(simulated, tmp_path):
    contract = TestPretraining()
    trainer = quick_trainer(tmp_path)
    data = contract.make_data(simulated)
    trainer.validate(contract.make_model().prepare(data), datamodule=data, verbose=False)
    found = {name: value.item() for name, value in trainer.callback_metrics.items()}
    assert {"dev/v2t_r1", "dev/t2v_r10", "dev/v2t_median_rank"} <= found.keys()
    assert found["dev/v2t_r5"] == 1.0, "there are four"

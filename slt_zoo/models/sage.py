"""SAGE: sign segments as visual tokens, contrasted with the tokens of a text, then translated.

Low, Sincan, Bowden: "SAGE: Segment-Aware Gloss-Free Encoding for Token-Efficient Sign Language Translation", ICCV 2025
workshops, arXiv 2507.09266. German Sign Language (PHOENIX14T) to German.

Defects of the published code that are mended here, and come back with ``profile="code"``: the softmax of the token
contrast runs over padding; batch norm's statistics see padding; padding is found again by its value (this one does not
come back). What paper and code contradict each other in, and what was chosen, is in ``docs/papers/sage.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, Literal, cast, get_args

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.layers.lora import LoRA
from slt_zoo.layers.seq2seq import Seq2Seq
from slt_zoo.losses import (
    clcl_loss,
    clcl_similarity,
    gather_rows,
    gather_sequences,
    teacher_forcing,
    token_accuracy,
    token_cross_entropy,
)
from slt_zoo.losses.contrastive import Direction
from slt_zoo.metrics.retrieval import retrieval_scores
from slt_zoo.models.sage_module import SAGEModule
from slt_zoo.models.sage_net import ContextEncoder, SAGENet, SAGEPretrainingNet
from slt_zoo.models.sage_text import TextTarget, TextTeacher, teacher_codec
from slt_zoo.text import TextCodec
from slt_zoo.text.mbart import AttentionKind, MBartSizes, build_mbart, load_mbart, sizes_of
from slt_zoo.text.taggers import TaggerName
from slt_zoo.types import (
    Batch,
    Losses,
    Ragged,
    Sample,
    Split,
)

__all__ = ["SAGE", "SAGEPretraining"]

Frozen = Literal["visual", "encoder", "decoder", "embeddings"]


class SAGEPretraining(SAGEModule):
    """Stage 1 of SAGE (arXiv 2507.09266): visual tokens of a clip against the tokens of its text.

    Each text token is what a frozen mBART makes of it: its embedding, against the visual token (L_CE), and its hidden
    state, against the visual token in its context (L_HS). ``beta * L_CE + (1 - beta) * L_HS`` is minimised; what counts
    is whether videos find their texts among all of a split (``dev/v2t_r1``, ``dev/t2v_r1``). A batch of one clip has
    nothing to be told apart from, and a loss of 0. ``dev/loss`` depends on how dev is cut into batches;
    ``dev/contrast``, the loss that weighs most among all clips of the split, does not. Batches that a trainer
    accumulates are contrasted each for itself: for more negatives a larger batch, with ``clips_at_a_time``.

    Args:
        teacher: the frozen text side: the folder or hub name of an mBART, a checkpoint of `TextPretraining`, or sizes
            of a random one.
        vocabulary: sub-words at most, where the teacher is random.
        text_target: ``"pseudo_gloss"``: the content words of the sentence; ``"sentence"``: all of it.
        tagger: what finds content words, see `pseudo_glosses`.
        te_layers: layers of the context encoder TE; 0: there is none, and no L_HS.
        te_heads: its attention heads.
        te_ffn: width of its feed-forward blocks.
        te_activation: of these.
        te_dropout: of its blocks.
        max_positions: most visual tokens of a clip.
        loss: ``"clcl"``: of all pairs of tokens; ``"clip"``: of one vector a side.
        clip_pool: that vector: the ``"mean"`` of the tokens, or the first one (``"cls"``).
        dual_supervision: both losses; False: L_HS alone.
        beta: weight of L_CE.
        alpha: weight of the videos' side within each loss.
        direction: see `clcl_loss`.
        legacy_mask: let padding into the softmaxes, as the released code does.
        temperature: of these softmaxes.
        logit_scale_init: logarithm of the factor of similarities.
        logit_scale_max: its largest value; None: no bound.
        share_scale: one factor for both losses.
        gather_negatives: contrast with the texts of all processes, so that N processes see the batch of one.
        optimizer: SGD with momentum 0.9 at 0.03.
        base: arguments of what both stages share, and of `SLTModule`.
    """

    translates = False

    def __init__(
        self,
        *,
        teacher: str | MBartSizes,
        vocabulary: int = 2000,
        text_target: TextTarget | None = None,
        tagger: TaggerName = "auto",
        te_layers: int = 3,
        te_heads: int = 8,
        te_ffn: int = 4096,
        te_activation: str = "relu",
        te_dropout: float = 0.1,
        max_positions: int = 1024,
        loss: Literal["clcl", "clip"] = "clcl",
        clip_pool: Literal["mean", "cls"] = "mean",
        dual_supervision: bool = True,
        beta: float | None = None,
        alpha: float = 0.5,
        direction: Direction | None = None,
        legacy_mask: bool | None = None,
        temperature: float = 0.07,
        logit_scale_init: float = math.log(1 / 0.07),
        logit_scale_max: float | None = math.log(100),
        share_scale: bool = False,
        gather_negatives: bool = True,
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.9),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        self.source = teacher if isinstance(teacher, str) else sizes_of(teacher)
        self._told_of_accumulation = False
        hp = self.hparams
        if not 0 <= hp["beta"] <= 1 or not 0 <= alpha <= 1 or temperature <= 0 or te_layers < 0:
            raise ConfigError(
                "beta and alpha are in [0, 1], the temperature is positive, te_layers at least 0",
                found=f"beta={hp['beta']}, {alpha=}, {temperature=}, {te_layers=}",
            )
        if not te_layers and not dual_supervision:
            raise ConfigError(
                "without TE there are no hidden states, and dual_supervision=false has nothing else",
                found="te_layers=0, dual_supervision=False",
                todo="te_layers=0 alone trains on embeddings",
            )

    @cached_property
    def teacher(self) -> TextTeacher:
        """The frozen text side."""
        hp = self.hparams
        return TextTeacher(
            self.source,
            self.codecs["text"],
            target=hp["text_target"],
            language=self.facts.language,
            tagger=hp["tagger"],
        )

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """The teacher's vocabulary."""
        texts, language = [s.text for s in samples], samples[0].language
        return {"text": teacher_codec(self.source, texts, language, self.hparams["vocabulary"])}

    def build(self) -> SAGEPretrainingNet:
        """Visual encoder, context encoder, scales."""
        hp = self.hparams
        names = ("te_layers", "te_heads", "te_ffn", "te_activation", "te_dropout", "max_positions")
        context = ContextEncoder(hp["width"], *(hp[name] for name in names)) if hp["te_layers"] else None
        return SAGEPretrainingNet(
            self.visual_encoder(),
            context,
            scale_init=hp["logit_scale_init"],
            scale_max=hp["logit_scale_max"],
            share_scale=hp["share_scale"],
        )

    @property
    def network(self) -> SAGEPretrainingNet:
        """The network, with its type."""
        return cast(SAGEPretrainingNet, self.net)

    def on_fit_start(self) -> None:
        """Make the text side of training and development once."""
        super().on_fit_start()
        self.teacher.device = self.device
        for split in ("train", "dev"):
            self.teacher.prepare(self.data().manifest(split).column("text"))

    def on_train_epoch_start(self) -> None:
        """Say once that accumulated batches do not see each other's texts."""
        batches = self.trainer.accumulate_grad_batches  # a callback may change it from epoch to epoch
        if batches > 1 and not self._told_of_accumulation:
            self._told_of_accumulation = True
            data = self.data()
            size = "batch_size" if data.frames_per_batch is None else "frames_per_batch"
            rank_zero_warn(
                f"trainer.accumulate_grad_batches={batches} adds no negatives: each clip is contrasted with the texts "
                f"of its own batch, and the gradients of {batches} such losses are averaged. For {batches} times as "
                "many in about the memory of one batch, train without accumulation, with "
                f"data.{size}={batches * getattr(data, size)} and model.clips_at_a_time={data.batch_size}"
            )

    def losses(self, batch: Batch) -> Losses:
        """L_CE, L_HS and their sum; in evaluation also what retrieval is measured on."""
        hp = self.hparams
        rows, segments = self.rows_of(batch)
        tokens, hidden, mask = self.network(rows, segments, hp["clips_at_a_time"])
        self.teacher.device = self.device
        sides = [side.to(self.device) for side in self.teacher(batch.text)]
        scales = self.network.scales()
        terms: dict[str, Tensor] = {}
        if hidden is None or hp["dual_supervision"]:
            terms["loss_ce"] = self._contrast(tokens, mask, sides[0], scales[0])
        if hidden is not None:
            terms["loss_hs"] = self._contrast(hidden, mask, sides[1], scales[1])
        total = terms["loss_ce"] if hidden is None else terms["loss_hs"]
        if len(terms) == 2:
            total = hp["beta"] * terms["loss_ce"] + (1 - hp["beta"]) * terms["loss_hs"]
        kept = {} if self.training else self._keep(batch, tokens, hidden, mask, sides)
        return Losses(total, {**terms, "scale": scales[0].detach()}, kept=kept)

    def _contrast(self, video: Tensor, mask: Tensor, text: Ragged, scale: Tensor) -> Tensor:
        hp = self.hparams
        gathers = self.training and hp["gather_negatives"]
        values, text_mask = gather_sequences(*text.padded()) if gathers else text.padded()
        z_v2t, z_t2v = self._similarity(video, mask, values, text_mask)
        if gathers:
            z_v2t, z_t2v = gather_rows(z_v2t), gather_rows(z_t2v)
        return clcl_loss(z_v2t, z_t2v, scale, alpha=hp["alpha"], direction=hp["direction"])

    def _similarity(self, video: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
        hp = self.hparams
        if hp["loss"] == "clcl":
            return clcl_similarity(video, mask, text, text_mask, hp["temperature"], legacy_mask=hp["legacy_mask"])
        pooled = [_pool(side.float(), valid, hp["clip_pool"]) for side, valid in ((video, mask), (text, text_mask))]
        z = pooled[0] @ pooled[1].T
        return z, z  # with one vector a side both directions of CLCL are CLIP's

    @property
    def _main(self) -> int:
        """The loss that weighs most: 0: of embeddings, 1: of hidden states."""
        hp = self.hparams
        return 0 if not hp["te_layers"] or (hp["dual_supervision"] and hp["beta"] >= 0.5) else 1

    def _keep(
        self, batch: Batch, tokens: Tensor, hidden: Tensor | None, mask: Tensor, sides: Sequence[Ragged]
    ) -> dict[str, Any]:
        """Of each clip its tokens and those of its text, of the loss that weighs most, and its text."""
        video = tokens if self._main == 0 or hidden is None else hidden
        text = sides[self._main].split()
        lengths = mask.sum(1).tolist()
        return {
            i: (video[row, : lengths[row]].float().cpu(), text[row].float().cpu(), batch.text[row])
            for row, i in enumerate(batch.id)
        }

    def measure(self, split: Split, kept: Mapping[str, Any]) -> dict[str, float]:
        """Retrieval among all clips of the split, both ways, and their contrast; none depends on batches.

        In retrieval texts that are the same count as one. In ``contrast``, the loss that weighs most with all clips of
        the split as one batch, they are negatives of each other, as in training.
        """
        hp = self.hparams
        video, text = (Ragged.pack([clip[side] for clip in kept.values()]).padded() for side in (0, 1))
        with torch.no_grad():
            z_v2t, z_t2v = self._similarity(*video, *text)
            scale = self.network.scales()[self._main].cpu()
            contrast = clcl_loss(z_v2t, z_t2v, scale, alpha=hp["alpha"], direction=hp["direction"])
        similarity = (0.5 * (z_v2t + z_t2v)).numpy()
        found = retrieval_scores(similarity, self.teacher.targets([clip[2] for clip in kept.values()]))
        return {"contrast": contrast.item(), **found}


def _pool(tokens: Tensor, mask: Tensor, how: str) -> Tensor:
    """One unit vector ``(B, D)`` of the valid tokens; zeros where there is none."""
    first = mask & (mask.cumsum(1) == 1) if how == "cls" else mask
    mean = (tokens * first[..., None]).sum(1) / first.sum(1, keepdim=True).clamp(min=1)
    return torch.nn.functional.normalize(mean, dim=-1)


class SAGE(SAGEModule):
    """Stage 2 of SAGE (arXiv 2507.09266): visual tokens of sign segments to the sentence, by mBART.

    Args:
        mbart: the folder or hub name of an mBART, with its tokenizer; or sizes of a random one, which weights of
            `TextPretraining` fill (``init_from``).
        vocabulary: sub-words at most, where the mBART is random and no earlier phase brings a vocabulary.
        pretraining: checkpoint of `SAGEPretraining` to start from; None: see ``stage2_init``.
        stage2_init: what of it: ``"vle"``: the visual encoder; ``"vle_te"``: TE as well, as mBART's encoder (of the
            same sizes); ``"none"``: nothing.
        dropout: of the mBART; None: its own.
        beam_size: 1: greedy.
        length_penalty: of the beam.
        max_new_tokens: longest output.
        max_tokens: longest target of training, both ends counted; longer ones are cut.
        label_smoothing: of the cross-entropy.
        visual_embed_scale: factor of visual tokens as mBART reads them.
        lora: low-rank updates of mBART's linear layers, by peft (extra ``lora``); nothing else of the mBART is trained.
            ``{}`` has the defaults of `LoRA`: rank 16, alpha 32, dropout 0, targets q_proj and v_proj.
        freeze: parts that are not trained: ``"visual"``, all up to the visual tokens, batch norm's statistics included;
            ``"encoder"`` and ``"decoder"`` of the mBART, which then get no updates either; ``"embeddings"``, of its
            tokens (and so its output) and positions. Their dropout goes on.
        attention: ``"sdpa"``, or ``"eager"``, which is faster on a CPU in bfloat16.
        checkpoint_gradients: compute mBART's layers again in the backward pass, which saves memory.
        optimizer: SGD with momentum 0.9 and weight decay 0.001 at 0.004.
        base: arguments of what both stages share, and of `SLTModule`.
    """

    recorded = ("mbart",)

    def __init__(
        self,
        *,
        mbart: str | MBartSizes,
        vocabulary: int = 2000,
        pretraining: str | None = None,
        stage2_init: Literal["vle", "vle_te", "none"] | None = None,
        dropout: float | None = 0.1,
        beam_size: int = 4,
        length_penalty: float = 1.0,
        max_new_tokens: int = 150,
        max_tokens: int = 256,
        label_smoothing: float = 0.2,
        visual_embed_scale: float = 1.0,
        lora: LoRA | None = None,
        freeze: list[Frozen] | None = None,
        attention: AttentionKind = "sdpa",
        checkpoint_gradients: bool = False,
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=0.004, momentum=0.9, weight_decay=0.001),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        self.weights = mbart if isinstance(mbart, str) else None
        hp = self.hparams
        if beam_size < 1 or max_new_tokens < 1 or max_tokens < 3 or not 0 <= label_smoothing <= 1:
            raise ConfigError(
                "beam_size and max_new_tokens are at least 1, max_tokens 3, label_smoothing between 0 and 1",
                found=f"{beam_size=}, {max_new_tokens=}, {max_tokens=}, {label_smoothing=}",
            )
        check_trained(None if lora is None else LoRA.of(lora), freeze or ())
        if pretraining is not None and hp["stage2_init"] != "none" and hp["initialised_from"] is None:
            source = stage2_source(pretraining, hp["stage2_init"])
            hp["init_from"] = [source, *(hp["init_from"] or [])]  # of vocabularies the last one counts: the mBART's

    def build(self) -> SAGENet:
        """Visual encoder and mBART for the vocabulary; its sizes are recorded, wherever they came from."""
        hp = self.hparams
        sizes = sizes_of(hp["mbart"])
        if hp["dropout"] is not None:
            sizes = replace(sizes, dropout=hp["dropout"])
        if sizes.d_model != hp["width"]:
            raise ConfigError(
                "visual tokens and mBART have different widths",
                expected=f"model.width={sizes.d_model}, as the mBART",
                found=f"model.width={hp['width']}",
            )
        hp["mbart"] = asdict(sizes)
        mbart = build_mbart(sizes, self.codec, attention=hp["attention"])
        seq2seq = Seq2Seq(mbart, scale_embeddings=hp["visual_embed_scale"])
        if hp["checkpoint_gradients"]:
            seq2seq.checkpoint_gradients()
        return SAGENet(self.visual_encoder(), seq2seq)

    def load_pretrained(self) -> list[dict[str, str]]:
        """Weights of the folder that ``mbart`` names, if it names one."""
        return [] if self.weights is None else [load_mbart(self.network.seq2seq.mbart, self.weights, self.codec)]

    def adapt(self) -> None:
        """Freeze what ``freeze`` names and put LoRA beside the rest of mBART."""
        hp, net = self.hparams, self.network
        frozen = hp["freeze"] or ()
        if "visual" in frozen:
            net.visual.freeze()
        net.seq2seq.freeze(*(part for part in frozen if part != "visual"))
        if hp["lora"] is not None:
            sides: list[Literal["encoder", "decoder"]] = [side for side in ("encoder", "decoder") if side in frozen]
            net.seq2seq.add_lora(**vars(LoRA.of(hp["lora"])), without=sides)

    @property
    def network(self) -> SAGENet:
        """The network, with its type."""
        return cast(SAGENet, self.net)

    @property
    def codec(self) -> TextCodec:
        """Vocabulary of the sentences."""
        return self.codecs["text"]

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """MBART's vocabulary, or sub-words of the training sentences; an earlier phase's takes their place."""
        texts, language = [s.text for s in samples], samples[0].language
        return {"text": teacher_codec(self.weights or MBartSizes(), texts, language, self.hparams["vocabulary"])}

    def losses(self, batch: Batch) -> Losses:
        """Cross-entropy over all targets, to the language's token behind the end (section 3.5), and the right share."""
        hp = self.hparams
        ids = self.codec.encode(batch.text, max_len=hp["max_tokens"]).to(self.device)
        read, truth = teacher_forcing(ids, rotate=True)
        logits = self.net(*self.rows_of(batch), read.padded(self.codec.pad_id)[0])
        total, count = token_cross_entropy(logits, truth, label_smoothing=hp["label_smoothing"])
        accuracy = token_accuracy(logits, truth, rotated=True)
        return Losses(self.mean(total, count), {"token_accuracy": accuracy}, count=len(truth.values))

    def translate(self, batch: Batch) -> list[str]:
        """Beam search from the language's token on (section 4)."""
        hp = self.hparams
        ids = self.network.seq2seq.search(
            *self.network.encode(*self.rows_of(batch)),
            start_id=self.codec.bos_id,
            num_beams=hp["beam_size"],
            max_new_tokens=hp["max_new_tokens"],
            length_penalty=hp["length_penalty"],
        )
        return self.codec.decode(ids)

    def decoding_settings(self) -> dict[str, Any]:
        """Beam size, length penalty and longest output."""
        return {name: self.hparams[name] for name in ("beam_size", "length_penalty", "max_new_tokens")}


def check_trained(lora: LoRA | None, freeze: Sequence[str]) -> None:
    """Refuse to train nothing, or low-rank updates of nothing.

    Raises:
        UnknownNameError: there is no such part to freeze.
        ConfigError: nothing is left to be trained, or LoRA has no place.
    """
    for part in freeze:
        if part not in get_args(Frozen):
            raise UnknownNameError("part to freeze", part, get_args(Frozen))
    frozen = set(freeze)
    if lora is not None and frozen >= {"encoder", "decoder"}:
        raise ConfigError(
            "LoRA has no place where encoder and decoder are frozen",
            found=f"freeze={list(freeze)} and lora",
            todo="leave both out of freeze: LoRA keeps mBART's own weights as they are; or leave lora out",
        )
    if lora is None and frozen == set(get_args(Frozen)):
        raise ConfigError("everything is frozen, so nothing could be trained", found=f"freeze={list(freeze)}")


def stage2_source(path: str, what: Literal["vle", "vle_te"]) -> dict[str, Any]:
    """What stage 2 takes of a checkpoint of stage 1, as plain data of `InitFrom`."""
    mapped, encoder = {"net.visual.": "net.visual."}, "net.seq2seq.mbart.model.encoder."
    if what == "vle":
        return {"path": path, "map": mapped, "unused": [], "fresh": []}
    mapped["net.context.encoder."] = encoder
    return {"path": path, "map": mapped, "unused": [], "fresh": [f"{encoder}embed_tokens."]}

"""SignAttention: a small transformer made to be looked into.

Dal Bianco, Stanchi, Quiroga, Ronchetti, Ferrante: "SignAttention: On the Interpretability of Transformer Models for
Sign Language Translation", IAI workshop at NeurIPS 2024, arXiv 2410.14506. Greek Sign Language to glosses or Greek.

Defects of the published code that are mended here and come back with ``legacy=True``: frames are drawn at random in
evaluation too; a frame whose features sum to zero counts as padding; decoding runs without the causal mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional as F

from slt_zoo.data.base import SLTDataModule
from slt_zoo.data.pose_augment import SpatialAugment
from slt_zoo.data.pose_layouts import named_points
from slt_zoo.data.selection import BlockSample, ChainSelect, SpeedJitter, Truncate
from slt_zoo.data.transforms import (
    CentreHands,
    CentreOnShoulders,
    ChoosePoints,
    Compose,
    InterpolateFrames,
    KeepDims,
)
from slt_zoo.errors import ConfigError
from slt_zoo.layers.decoding import beam_search, greedy_search
from slt_zoo.layers.positions import SinusoidalPositions
from slt_zoo.layers.transformer import DecoderLayer, EncoderLayer, capture, causal_mask, window_mask
from slt_zoo.models.base import SLTModule
from slt_zoo.text import TextCodec, WordCodec, codec_from_dict
from slt_zoo.text.codec import Level
from slt_zoo.types import Batch, ClipPipeline, InputSpec, Losses, Ragged, Sample, SelectFrames, TransformClip

__all__ = ["AttentionMaps", "SignAttention", "SignAttentionNet"]

PAD_ID = 0


class FrameEmbedder(nn.Module):
    """Two convolutions over time, ReLU after each; with kernel 1 a network of each frame alone.

    Wider kernels see the first and last valid frame repeated beyond the ends, never padding.
    """

    def __init__(self, input_dim: int, hidden: int, d_model: int, kernel: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ConfigError("embed_kernel must be odd", found=kernel)
        self.kernel = kernel
        self.convs = nn.ModuleList([nn.Conv1d(input_dim, hidden, kernel), nn.Conv1d(hidden, d_model, kernel)])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(B, S, E)`` and its mask ``(B, S)`` to ``(B, S, H)``."""
        reach = self.kernel // 2
        last = mask.sum(1).clamp(min=1)[:, None] - 1
        places = torch.arange(-reach, x.shape[1] + reach, device=x.device).clamp(min=0)[None].minimum(last)
        for conv in self.convs:
            if reach:
                x = x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))
            x = F.relu(conv(x.transpose(1, 2))).transpose(1, 2)
        return x


class SignAttentionNet(nn.Module):
    """The network alone.

    Args:
        input_dim: width E of a frame.
        vocabulary: number of target ids V; id 0 is padding.
        d_model: width H, even and divisible by ``nhead``.
        nhead: attention heads.
        dim_feedforward: width of the feed-forward blocks.
        num_encoder_layers: 0: frames reach the decoder unmixed, with positions.
        num_decoder_layers: at least 1.
        dropout: inside the layers.
        pos_dropout: after the positions, of frames and of tokens.
        embed_hidden: width of the frame embedder's first convolution.
        embed_kernel: its kernel, odd.
        norm_first: normalise before the blocks instead of after.
        encoder_window: frames that a frame may attend to, centred on itself, odd; None: all.
        max_len: longest sequence of frames or tokens.
    """

    def __init__(
        self,
        input_dim: int,
        vocabulary: int,
        *,
        d_model: int = 16,
        nhead: int = 8,
        dim_feedforward: int = 2048,
        num_encoder_layers: int = 1,
        num_decoder_layers: int = 1,
        dropout: float = 0.2,
        pos_dropout: float = 0.1,
        embed_hidden: int = 128,
        embed_kernel: int = 1,
        norm_first: bool = False,
        encoder_window: int | None = None,
        max_len: int = 512,
    ) -> None:
        super().__init__()
        if min(d_model, nhead, dim_feedforward, embed_hidden) < 1 or d_model % 2 or d_model % nhead:
            raise ConfigError(
                "sizes must be positive, and d_model even and divisible by nhead",
                found=f"{d_model=}, {nhead=}, {dim_feedforward=}, {embed_hidden=}",
            )
        if not 0 <= dropout <= 1 or not 0 <= pos_dropout <= 1:
            raise ConfigError("dropouts are probabilities", found=f"{dropout=}, {pos_dropout=}")
        if encoder_window is not None and encoder_window % 2 == 0:
            raise ConfigError("encoder_window must be odd", found=encoder_window)
        if num_decoder_layers < 1:
            raise ConfigError("there must be a decoder layer", found=num_decoder_layers)
        self.encoder_window, self.nhead = encoder_window, nhead
        layer = (d_model, nhead, dim_feedforward, dropout, norm_first)
        self.frame_embedder = FrameEmbedder(input_dim, embed_hidden, d_model, embed_kernel)
        self.token_embedding = nn.Embedding(vocabulary, d_model)
        self.positions = SinusoidalPositions(d_model, max_len, pos_dropout)
        self.encoder = nn.ModuleList([EncoderLayer(*layer) for _ in range(num_encoder_layers)])
        self.encoder_norm = nn.LayerNorm(d_model) if num_encoder_layers else nn.Identity()
        self.decoder = nn.ModuleList([DecoderLayer(*layer) for _ in range(num_decoder_layers)])
        self.decoder_norm = nn.LayerNorm(d_model)
        self.generator = nn.Linear(d_model, vocabulary)
        for parameter in [*self.encoder.parameters(), *self.decoder.parameters()]:
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def encode(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Frames ``(B, S, E)`` and their mask ``(B, S)``, True = valid, to a memory ``(B, S, H)``."""
        x = self.positions(self.frame_embedder(frames, mask))
        blocked = None
        if self.encoder_window is not None:  # padding may look anywhere: a row without any key would be NaN
            near = window_mask(x.shape[1], self.encoder_window, x.device)
            blocked = (near & mask[:, :, None]).repeat_interleave(self.nhead, 0)
        for layer in self.encoder:
            x = layer(x, blocked=blocked, padding=~mask)
        return self.encoder_norm(x)  # type: ignore[no-any-return]

    def decode(
        self, tokens: Tensor, memory: Tensor, mask: Tensor, token_mask: Tensor | None = None, causal: bool = True
    ) -> Tensor:
        """Tokens ``(B, T)`` and a memory to logits ``(B, T, V)`` of what follows each token."""
        x = self.token_embedding(tokens) * math.sqrt(self.token_embedding.embedding_dim)
        x = self.positions(x)
        blocked = causal_mask(tokens.shape[1], tokens.device) if causal else None
        padding = None if token_mask is None else ~token_mask
        for layer in self.decoder:
            x = layer(x, memory, blocked=blocked, padding=padding, memory_padding=~mask)
        return self.generator(self.decoder_norm(x))  # type: ignore[no-any-return]

    def forward(self, frames: Tensor, mask: Tensor, tokens: Tensor, token_mask: Tensor | None = None) -> Tensor:
        """Teacher-forced logits ``(B, T, V)``."""
        return self.decode(tokens, self.encode(frames, mask), mask, token_mask)


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Where the decoder looked while it made one hypothesis (specification section 10, capture).

    Attributes:
        id: of the sample.
        tokens: the n generated tokens, the end included.
        cross: ``(layers, heads, n, S)``, rows sum to 1 over the S valid frames.
        own: ``(layers, heads, n, n)``, attention to the tokens before.
        fps: of the S frames; None: unknown.
    """

    id: str
    tokens: list[str]
    cross: Tensor
    own: Tensor
    fps: float | None = None


class SignAttention(SLTModule):
    """Poses (or features) to glosses or text by a transformer of one layer a side (arXiv 2410.14506).

    The defaults are the published configuration, except where it is a defect; ``legacy=True`` brings those back.

    Args:
        target: what is produced, ``"gloss"`` or ``"text"``.
        level: a text is cut into ``"word"`` or ``"char"`` (Chinese has no spaces between words); glosses into words.
        modality: ``"pose"``, or ``"features"`` of any width.
        feature_id: id of the store that what is read must come from (``slt-zoo extract`` prints it); None: any.
        d_model: width H; the paper looks at 16 and 32.
        nhead: attention heads.
        dim_feedforward: width of the feed-forward blocks; it holds most of the weights.
        num_encoder_layers: 0 leaves the frames unmixed.
        num_decoder_layers: at least 1.
        dropout: inside the layers.
        pos_dropout: after the positions.
        embed_hidden: width of the frame embedder's first convolution.
        embed_kernel: 1: each frame alone; 3 or 5 as an ablation.
        norm_first: normalise before the blocks.
        encoder_window: frames that a frame may attend to; None: all.
        points: named choice of points, or a list of names (``"holistic75"``, ``"upper50"``).
        normalise: ``"shoulders"`` centres and scales by the shoulders; ``"hands"`` then the points of each hand about
            its wrist, by its size; ``"raw"`` takes coordinates as they are.
        sampling: ``"block"`` takes one frame of each ``block``, at random in training; ``"interpolate"`` makes
            ``interpolate_frames`` of every clip; ``"none"`` takes all.
        block: frames of a block.
        eval_sampling: ``"center"`` of a block, or ``"random"``.
        interpolate_frames: see ``sampling``.
        augment: strength of random rotation, scale, shift, shear and speed of training poses; 0: none, 1: 15 degrees,
            20 % of scale and shift, 10 % of shear, speed between 0.7 and 1.4.
        mirror: probability that a training pose is mirrored, left and right exchanged: the signing of another hand.
        max_frames: longer clips are cut there, after sampling.
        max_tokens: longest target, both ends counted; longer ones are cut in training.
        beam_size: 1: greedy.
        length_penalty: of the beam; 0: plain probability.
        label_smoothing: of the cross-entropy.
        class_weights: True: weigh tokens by the inverse of their frequency in training (the weights are recorded in
            its place); or the weights by id.
        legacy: bring back the defects of the published code (see the module).
        optimizer: Adam at 1e-3, no schedule.
        base: arguments of `SLTModule`.
    """

    recorded = ("class_weights",)

    def __init__(
        self,
        *,
        target: Literal["gloss", "text"] = "gloss",
        level: Level = "word",
        modality: Literal["pose", "features"] = "pose",
        feature_id: str | None = None,
        d_model: int = 16,
        nhead: int = 8,
        dim_feedforward: int = 2048,
        num_encoder_layers: int = 1,
        num_decoder_layers: int = 1,
        dropout: float = 0.2,
        pos_dropout: float = 0.1,
        embed_hidden: int = 128,
        embed_kernel: int = 1,
        norm_first: bool = False,
        encoder_window: int | None = None,
        points: str | list[str] = "holistic75",
        normalise: Literal["shoulders", "hands", "raw"] = "shoulders",
        sampling: Literal["block", "interpolate", "none"] = "block",
        block: int = 3,
        eval_sampling: Literal["center", "random"] = "center",
        interpolate_frames: int = 30,
        augment: float = 0.0,
        mirror: float = 0.0,
        max_frames: int = 220,
        max_tokens: int = 20,
        beam_size: int = 1,
        length_penalty: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: bool | list[float] = False,
        legacy: bool = False,
        optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-3),
        **base: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **base)
        self.target = target
        self._points()  # a misspelt name is told now
        if beam_size < 1 or not 0 <= label_smoothing <= 1 or block < 1 or max_frames < 1:
            raise ConfigError(
                "beam_size, block and max_frames must be at least 1, label_smoothing between 0 and 1",
                found=f"{beam_size=}, {block=}, {max_frames=}, {label_smoothing=}",
            )
        if max_tokens < 3:
            raise ConfigError("max_tokens counts both ends and must be at least 3", found=max_tokens)

    @property
    def input_spec(self) -> InputSpec:
        """Sampled, truncated clips; poses by chosen points, x and y."""
        hp = self.hparams
        return InputSpec(
            modality=hp["modality"],
            needs=frozenset({self.target}),
            train=ClipPipeline(self._select(training=True), self._transform(training=True)),
            evaluation=ClipPipeline(self._select(training=False), self._transform(training=False)),
            feature_id=hp["feature_id"],
        )

    def _select(self, training: bool) -> SelectFrames:
        hp = self.hparams
        random = training or hp["legacy"] or hp["eval_sampling"] == "random"
        steps: list[SelectFrames] = []
        if training and hp["augment"]:
            steps.append(SpeedJitter(1.4 ** -hp["augment"], 1.4 ** hp["augment"]))
        if hp["sampling"] == "block":
            steps.append(BlockSample(hp["block"], random))
        return ChainSelect((*steps, Truncate(hp["max_frames"])))

    def _transform(self, training: bool) -> TransformClip | None:
        hp = self.hparams
        steps: list[TransformClip] = []
        if hp["modality"] == "pose":
            if hp["normalise"] != "raw" and not hp["legacy"]:
                steps.append(CentreOnShoulders())
            steps += [ChoosePoints(self._points()), KeepDims(2)]
            if training and (hp["augment"] or hp["mirror"]):
                strength = float(hp["augment"])
                sizes = {"rotate_deg": 15 * strength, "scale": 0.2 * strength, "shift": 0.2 * strength}
                steps.append(SpatialAugment(**sizes, shear=0.1 * strength, mirror_p=float(hp["mirror"])))
            if hp["normalise"] == "hands" and not hp["legacy"]:
                steps.append(CentreHands())  # after what moves the body: a hand's shape does not move
            if hp["sampling"] == "interpolate":
                steps.append(InterpolateFrames(hp["interpolate_frames"]))
        return Compose(tuple(steps)) if steps else None

    def build(self) -> SignAttentionNet:
        """The network for the points or the feature width, and the vocabulary."""
        hp = self.hparams
        if hp["modality"] == "pose":
            input_dim = 2 * len(self._points())
        elif self.facts.feature_dim is not None:
            input_dim = self.facts.feature_dim
        else:
            raise ConfigError("the width of the features is not known", todo="bind a corpus with features first")
        sizes = ("d_model", "nhead", "dim_feedforward", "num_encoder_layers", "num_decoder_layers", "dropout")
        more = ("pos_dropout", "embed_hidden", "embed_kernel", "norm_first", "encoder_window")
        longest = max(hp["max_frames"], hp["max_tokens"], hp["interpolate_frames"])
        return SignAttentionNet(
            input_dim, len(self.codec), max_len=longest, **{name: hp[name] for name in (*sizes, *more)}
        )

    @property
    def network(self) -> SignAttentionNet:
        """The network, with its type."""
        return cast(SignAttentionNet, self.net)

    def _points(self) -> tuple[str, ...]:
        points = self.hparams["points"]
        return named_points(points) if isinstance(points, str) else tuple(points)

    @property
    def codec(self) -> TextCodec:
        """Vocabulary of the target."""
        return self.codecs[self.target]

    def make_codecs(self, samples: Sequence[Sample]) -> dict[str, TextCodec]:
        """Whitespace words of the training targets, case kept (specification section 6.3), or characters of texts."""
        level: Level = self.hparams["level"] if self.target == "text" else "word"
        return {self.target: WordCodec.fit((self.target_of(s) for s in samples), level)}

    def read_data(self, data: SLTDataModule) -> None:
        """Vocabulary and, for ``class_weights``, how often each token is a target."""
        super().read_data(data)
        if self.hparams["class_weights"] is True:
            codec = codec_from_dict(self.hparams["codecs"][self.target])
            ids = codec.encode([self.target_of(s) for s in data.manifest("train")])
            counts = torch.bincount(ids.values[ids.values != codec.bos_id], minlength=len(codec)).double()
            weights = counts.sum() / (counts > 0).sum() / counts
            self.hparams["class_weights"] = torch.where(counts > 0, weights, 1.0).tolist()

    def losses(self, batch: Batch) -> Losses:
        """Cross-entropy over non-padding targets (section 3), and the teacher-forced share of right tokens."""
        hp = self.hparams
        ids, valid = self.codec.encode(self.targets(batch), max_len=hp["max_tokens"]).padded(PAD_ID)
        ids, valid = ids.to(self.device), valid.to(self.device)
        frames, mask = self._source(batch)
        logits = self.net(frames, mask, ids[:, :-1], valid[:, :-1])[valid[:, 1:]]
        truth = ids[:, 1:][valid[:, 1:]]
        weights = hp["class_weights"]
        weight = torch.tensor(weights, device=self.device) if isinstance(weights, list) else None
        total = F.cross_entropy(logits.float(), truth, weight, label_smoothing=hp["label_smoothing"], reduction="sum")
        count = valid[:, 1:].sum() if weight is None else weight[truth].sum()
        accuracy = (logits.argmax(-1) == truth).float().mean()
        return Losses(self.mean(total, count), {"token_accuracy": accuracy}, count=len(truth), counts={"loss": count})

    def translate(self, batch: Batch) -> list[str]:
        """Greedy, or beam search without length normalisation (section 5)."""
        return self.codec.decode(self._search(*self._encode(batch)))

    @torch.no_grad()
    def explain(self, batch: Batch) -> list[AttentionMaps]:
        """Attention of every decoder layer and head while each hypothesis was made.

        The hypothesis is read once more with the causal mask, which gives the rows of every decoding step at once.
        """
        if self.training:
            raise ConfigError("attention is explained in eval mode", todo="call model.eval() first")
        memory, mask = self._encode(batch)
        ids = self._search(memory, mask)
        with capture(self.network.decoder) as records:
            self.network.decode(ids[:, :-1], memory, mask)
        cross, own = (torch.stack([r[kind].weights for r in records.values()], 1) for kind in ("cross", "self"))
        maps = []
        for i, row in enumerate(ids.tolist()):
            n = row.index(self.codec.eos_id) if self.codec.eos_id in row else len(row) - 1
            frames = int(mask[i].sum())
            tokens = [self.codec.decode([[t]])[0] or "(end)" for t in row[1 : n + 1]]
            maps.append(
                AttentionMaps(batch.id[i], tokens, cross[i, :, :, :n, :frames], own[i, :, :, :n, :n], batch.fps[i])
            )
        return maps

    def decoding_settings(self) -> dict[str, Any]:
        """Beam size, length penalty and longest output."""
        return {name: self.hparams[name] for name in ("beam_size", "length_penalty", "max_tokens", "legacy")}

    def _encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        frames, mask = self._source(batch)
        return self.network.encode(frames, mask), mask

    def _source(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """``(B, S, E)`` and its mask ``(B, S)``, True = valid."""
        rows = batch.pose if self.hparams["modality"] == "pose" else batch.features
        assert rows is not None, "the data module decodes what input_spec asks for"
        flat = Ragged(rows.values.flatten(1), rows.lengths)
        if not self.hparams["legacy"]:
            return flat.padded()
        frames, _ = flat.padded(length=max(self.hparams["max_frames"], int(flat.lengths.max())))
        return frames, frames.sum(-1) != 0

    def _search(self, memory: Tensor, mask: Tensor) -> Tensor:
        hp, codec = self.hparams, self.codec

        def next_log_probs(prefixes: Tensor, rows: Tensor) -> Tensor:
            logits = self.network.decode(prefixes, memory[rows], mask[rows], causal=not hp["legacy"])
            return logits[:, -1].float().log_softmax(-1)

        ends: dict[str, Any] = {"bos_id": codec.bos_id, "eos_id": codec.eos_id, "max_len": hp["max_tokens"]}
        if hp["beam_size"] == 1:
            return greedy_search(next_log_probs, len(memory), **ends, device=memory.device)
        return beam_search(
            next_log_probs,
            len(memory),
            **ends,
            beam_size=hp["beam_size"],
            length_penalty=hp["length_penalty"],
            device=memory.device,
        )

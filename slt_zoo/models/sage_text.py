"""The frozen text side of SAGE's first stage: what visual tokens are contrasted with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from slt_zoo import loading
from slt_zoo.errors import ConfigError
from slt_zoo.files import cache_folder
from slt_zoo.layers.seq2seq import Seq2Seq
from slt_zoo.text import SubwordCodec, TextCodec, codec_from_dict, pseudo_glosses
from slt_zoo.text.codec import rule_of, seen
from slt_zoo.text.mbart import MBartSizes, build_mbart, load_mbart, mbart_hash, sizes_of
from slt_zoo.text.states import TextStates
from slt_zoo.text.taggers import TaggerName
from slt_zoo.types import Ragged

__all__ = ["TextTarget", "TextTeacher", "teacher_codec"]

TextTarget = Literal["pseudo_gloss", "sentence"]

_OURS = (".ckpt",)


def _is_ours(source: str) -> bool:
    """Whether a source is a checkpoint of `TextPretraining`, and no folder of an mBART."""
    return source.endswith(_OURS) or (Path(source) / loading.CONFIG).is_file()


def teacher_codec(source: str | MBartSizes, texts: Sequence[str], language: str, vocabulary: int) -> TextCodec:
    """The vocabulary of a teacher.

    Args:
        source: see `TextTeacher`.
        texts: of training; a random teacher's vocabulary is made of them.
        language: of the texts, BCP 47.
        vocabulary: sub-words at most, of a random teacher.
    """
    if isinstance(source, MBartSizes):
        return SubwordCodec.fit(texts, vocabulary, language)
    if not _is_ours(source):
        return SubwordCodec.from_pretrained(source, language)
    codecs = loading.InitFrom(source, {}).codecs()
    if "text" not in codecs:
        raise ConfigError(
            "the teacher has no vocabulary of text",
            where=source,
            expected="a checkpoint of TextPretraining, or the folder of an mBART",
        )
    return codec_from_dict(codecs["text"])


class TextTeacher:
    """Embeddings and hidden states of texts by a frozen mBART, which is read when the first text is not known yet.

    It is no module: its weights are in no checkpoint, and no optimizer sees them.

    Args:
        source: a checkpoint of `TextPretraining`; the folder or hub name of an mBART; or sizes of a random one.
        codec: its vocabulary. Its rule of normalisation, if it has one, is for sentences: pseudo-glosses are made of
            what it leaves of one, and then taken as they are.
        target: ``"sentence"``, or the ``"pseudo_gloss"`` of it, which falls back to the sentence where it is empty.
        language: of the texts, BCP 47.
        tagger: of pseudo-glosses.
        max_tokens: longest text, in tokens; longer ones are cut.
    """

    def __init__(
        self,
        source: str | MBartSizes,
        codec: TextCodec,
        *,
        target: TextTarget,
        language: str,
        tagger: TaggerName = "auto",
        max_tokens: int = 128,
    ) -> None:
        self.rule = rule_of(codec.to_dict()) if target == "pseudo_gloss" else None
        self.source, self.target = source, target
        self.codec = codec if self.rule is None else codec_from_dict({**codec.to_dict(), "normaliser": None})
        self.language, self.tagger, self.max_tokens = language, tagger, max_tokens
        self.device = torch.device("cpu")
        self._seq2seq: Seq2Seq | None = None
        self._said: dict[str, str] = {}
        random = isinstance(source, MBartSizes) and source.seed is None
        folder = None if random else cache_folder("text_states")  # nobody draws the same weights again
        self.states = TextStates(self._encode, "unsaved" if random else self._key(), folder)

    def prepare(self, texts: Sequence[str]) -> None:
        """Make what is needed of many texts at once."""
        self.states.prepare(self.targets(texts))

    def targets(self, texts: Sequence[str]) -> list[str]:
        """What the video of a text is contrasted with, as a string."""
        if self.target == "sentence":
            return list(texts)
        new = sorted(set(texts) - self._said.keys())
        if new:
            read = [seen(self.rule, text) for text in new]
            glosses = pseudo_glosses(read, self.language, tagger=self.tagger).glosses
            self._said |= {text: " ".join(words) or own for text, own, words in zip(new, read, glosses, strict=True)}
        return [self._said[text] for text in texts]

    def __call__(self, texts: Sequence[str]) -> tuple[Ragged, Ragged]:
        """Embeddings and hidden states ``(sum_M, D)`` of what texts are contrasted with, without special tokens."""
        return self.states(self.targets(texts))

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """The texts of which nothing is in the vocabulary, sorted: videos are contrasted with ``<unk>`` alone."""
        said = dict(zip(texts, self.targets(texts), strict=True))
        return sorted(text for text in said if not self._read(said[text]).replace("<unk>", "").strip())

    def _read(self, target: str) -> str:
        return self.codec.decode([self._tokens(target).tolist()])[0]

    def pieces(self, text: str) -> list[str]:
        """The M tokens of what a text is contrasted with, as strings."""
        (said,) = self.targets([text])
        return [self.codec.decode([[i]])[0] for i in self._tokens(said).tolist()]

    def words(self, text: str) -> list[list[int]]:
        """Which of `pieces` each word is made of: one list of places a word, of all places in their order.

        A word ends where the vocabulary writes a space; a piece that has no row (``<unk>``) is a word of its own. Text
        without spaces is one word.
        """
        (said,) = self.targets([text])
        ids = self._tokens(said).tolist()
        alone = self.codec.decode([[i] for i in ids])
        so_far = [len(written.split()) for written in self.codec.decode([ids[: k + 1] for k in range(len(ids))])]
        words: list[list[int]] = []
        waiting: list[int] = []  # pieces that are nothing but a space go with the word behind them
        begun = 0
        for place, count in enumerate(so_far):
            waiting.append(place)
            if not alone[place]:
                continue
            if count > begun or not words:
                words.append([])
            words[-1] += waiting
            waiting, begun = [], count
        if waiting:
            words = [*words[:-1], [*(words[-1] if words else []), *waiting]]
        return words

    def _tokens(self, text: str) -> Tensor:
        return self.codec.encode([text], max_len=self.max_tokens).values[1:-1]

    def _encode(self, texts: Sequence[str]) -> tuple[Ragged, Ragged]:
        seq2seq = self._network()
        read = self.codec.encode_source(texts, max_len=self.max_tokens).to(self.device)
        ids, mask = read.padded(self.codec.pad_id)
        lengths = read.lengths - 2  # without end and language
        kept = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        with torch.autocast(self.device.type, enabled=False):
            hidden = seq2seq.encode(ids, mask)
            return Ragged(seq2seq.embed(ids)[kept], lengths), Ragged(hidden[kept], lengths)

    def _network(self) -> Seq2Seq:
        if self._seq2seq is None:
            self._seq2seq = self._load().eval().requires_grad_(False)
        return self._seq2seq.to(self.device)

    def _load(self) -> Seq2Seq:
        if isinstance(self.source, MBartSizes):
            return Seq2Seq(build_mbart(self.source, self.codec))
        if not _is_ours(self.source):
            mbart = build_mbart(sizes_of(self.source), self.codec)
            load_mbart(mbart, self.source, self.codec)
            return Seq2Seq(mbart)
        seq2seq = getattr(loading.load(self.source).net, "seq2seq", None)
        if not isinstance(seq2seq, Seq2Seq):
            raise ConfigError(
                "the teacher of texts is no mBART", where=self.source, expected="a checkpoint of TextPretraining"
            )
        return seq2seq

    def _key(self) -> str:
        """A hash of all that the states depend on."""
        made: dict[str, Any] = {"codec": self.codec.to_dict(), "max_tokens": self.max_tokens}
        made["source"] = repr(self.source) if isinstance(self.source, MBartSizes) else _source_hash(self.source)
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]


def _source_hash(source: str) -> str:
    """SHA-256 of the weights of a checkpoint or folder."""
    return loading.sha256_of(Path(source)) if _is_ours(source) else mbart_hash(source)

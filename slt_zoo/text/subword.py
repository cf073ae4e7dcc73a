"""Sub-words: a SentencePiece model of one's own text, or mBART's, whole or with the rows of one corpus.

SentencePiece itself segments. The tokenizer that transformers 5 builds of the same file leaves out its normalisation
(NFKC): full-width punctuation, in every sentence of CSL-Daily, would be unknown to it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import logging
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from slt_zoo.errors import UnknownNameError, VocabularyError
from slt_zoo.text.codec import restored, rule_data, rule_of, seen
from slt_zoo.text.folders import model_file
from slt_zoo.text.given import id_in, rows_of_ids, texts_of
from slt_zoo.text.normalise import Normaliser
from slt_zoo.types import Ragged

__all__ = ["MBART_LANGUAGES", "MODEL_FILE", "RECORD_FILE", "TRIMMED_MODEL_FILE", "SubwordCodec", "language_code"]

log = logging.getLogger(__name__)

MBART_LANGUAGES = (
    *("ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX"),
    *("kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN"),
    "zh_CN",
)
"""Language codes of mBART-large-cc25 in the order of their rows."""

MODEL_FILE = "sentencepiece.bpe.model"
"""The SentencePiece model in a published mBART folder."""
TRIMMED_MODEL_FILE, RECORD_FILE = "segmentation.spm", "trim.json"
"""The same model and the rows that were kept, in a trimmed folder. The other name keeps transformers from reading it as
a tokenizer of all rows, whose ids the trimmed weights do not have."""

CONTROL = ("<s>", "<pad>", "</s>", "<unk>")
SPACE = "\u2581"
RESERVED = dict.fromkeys(map(ord, "\0\u2581\u2585"), " ")
"""SentencePiece's own signs: it leaves sentences that hold one out of training without a word."""
_CONTROL = re.compile("<s>|</s>|<unk>")  # where they are text, their characters are to be learnt all the same
_MBART50_LANGUAGES = 52


def language_code(language: str, languages: Sequence[str] = MBART_LANGUAGES) -> str:
    """The language code of a model for a code (``"de_DE"``) or a BCP 47 tag (``"de"``).

    Raises:
        UnknownNameError: the model has no such language.
    """
    if language in languages:
        return language
    start = re.split("[-_]", language)[0].lower()
    found = [code for code in languages if code.split("_")[0].lower() == start]
    if len(found) != 1:
        raise UnknownNameError("language of this tokenizer", language, languages)
    return found[0]


class SubwordCodec:
    """Sub-words of a SentencePiece model, with mBART's special rows.

    All rows are ``<s> <pad> </s> <unk>`` (0 to 3), the pieces in the model's order, the language codes, ``<mask>``.
    ``keep_ids`` selects and orders rows: text is still segmented by the whole model, so that what is kept means what it
    meant, and a sub-word whose row is gone is ``<unk>``.

    What `decode` makes of a text's ids is the text after these changes and no others: white space of any kind becomes
    one space, spaces at the ends go, zero-width spaces go; mBART's model then applies NFKC (``，`` becomes ``,``), one
    of `fit` changes nothing more.

    ``bos_id`` is the language's id, with which the decoder starts, and not ``<s>``.

    Args:
        model: the serialised SentencePiece model.
        language: whose text is written: a language code or a BCP 47 tag.
        languages: codes in the order of their rows.
        keep_ids: rows to keep, in their new order; the four control tokens first. None: all.
        normaliser: applied to each text before the model cuts it, undone in each that is decoded.

    Raises:
        VocabularyError: the model is damaged or no model of mBART's kind, or the rows cannot be.
        UnknownNameError: there is no such language.
    """

    pad_id, eos_id, unk_id = 1, 2, 3
    closed = False

    def __init__(
        self,
        model: bytes,
        language: str,
        *,
        languages: Sequence[str] = MBART_LANGUAGES,
        keep_ids: Sequence[int] | None = None,
        normaliser: Normaliser | None = None,
    ) -> None:
        self.model, self.languages, self.normaliser = model, tuple(languages), normaliser
        self.keep_ids = None if keep_ids is None else [int(i) for i in keep_ids]
        self.language = language_code(language, self.languages)
        self._pieces = _processor(model)
        names = self._all_names()
        kept = list(range(len(names))) if self.keep_ids is None else self.keep_ids
        self._check_rows(kept, len(names))
        self.tokens = [names[i] for i in kept]
        """What each id stands for, specials included."""
        row_of = {full: row for row, full in enumerate(kept)}
        size = len(self._pieces)
        self.language_ids = {
            code: row_of[size + 1 + n] for n, code in enumerate(self.languages) if size + 1 + n in row_of
        }
        """Rows of the language codes."""
        mask = len(names) - 1
        if self.language not in self.language_ids or mask not in row_of:
            raise VocabularyError(f"the rows kept have no {self.language} or no <mask>", found=f"{len(kept)} rows")
        self.mask_id = row_of[mask]
        self.language_id = self.bos_id = self.language_ids[self.language]
        self._special = {0, self.pad_id, self.mask_id, *self.language_ids.values()}
        self._row_of_piece = [row_of.get(piece + 1, self.unk_id) if piece > 2 else self.unk_id for piece in range(size)]

    def _all_names(self) -> list[str]:
        pieces = [self._pieces.id_to_piece(i) for i in range(3, len(self._pieces))]
        return [*CONTROL, *pieces, *self.languages, "<mask>"]

    @staticmethod
    def _check_rows(kept: Sequence[int], size: int) -> None:
        wrong = [i for i in kept if not 0 <= i < size]
        twice = [i for i, n in Counter(kept).items() if n > 1]
        if wrong or twice or list(kept[:4]) != [0, 1, 2, 3]:
            raise VocabularyError(
                "keep_ids does not fit the tokenizer",
                expected=f"different ids below {size}, 0 to 3 first",
                found=f"outside: {wrong[:5]}, twice: {twice[:5]}, first: {list(kept[:4])}",
                todo="use the rows together with the SentencePiece model that they were chosen from",
            )

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        vocabulary: int,
        language: str,
        *,
        languages: Sequence[str] | None = None,
        kind: Literal["bpe", "unigram"] = "bpe",
        normaliser: Normaliser | None = None,
    ) -> Self:
        """Train a model on text. The same texts in any order give the same bytes; every character gets a row.

        Args:
            texts: the training text.
            vocabulary: number of ids at most, special ones included; little text gives fewer.
            language: a code, mBART's or any other (``"el"``); mBART's code is taken for a BCP 47 tag that it knows.
            languages: codes that get rows; the language alone by default.
            kind: merges (``"bpe"``) or a unigram model. The second leaves out what its statistics do not carry: a few
                hundred sentences give hardly more than characters.
            normaliser: applied to the texts, and the codec's from then on.

        Raises:
            VocabularyError: there is no text, or fewer ids than characters.
        """
        if languages is None:
            known = {code.split("_")[0]: code for code in MBART_LANGUAGES}
            languages = [known.get(language, language)]
        special = 2 + len(languages)
        model = _train((seen(normaliser, text) for text in texts_of(texts)), vocabulary - special, kind, special)
        codec = cls(model, language, languages=languages, normaliser=normaliser)
        if len(codec) < vocabulary:
            log.info("the text gives %d sub-word ids, fewer than the %d asked for", len(codec), vocabulary)
        return codec

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        language: str,
        *,
        keep_ids: Sequence[int] | None = None,
        normaliser: Normaliser | None = None,
    ) -> SubwordCodec:
        """The tokenizer of an mBART folder, published or trimmed by `slt_zoo.text.trim`.

        Args:
            source: folder or hub name with ``config.json`` and the SentencePiece model.
            language: whose text is written.
            keep_ids: rows to keep of an untrimmed folder.
            normaliser: see the class.

        Raises:
            ConfigError: files are missing.
            VocabularyError: files are damaged, or do not belong together.
            UnknownNameError: mBART has no such language.
        """
        size = _read_json(model_file(source, "config.json")).get("vocab_size")
        found = model_file(source, RECORD_FILE, MODEL_FILE)
        trimmed = found.name == RECORD_FILE
        if trimmed and keep_ids is not None:
            raise VocabularyError("keep_ids belongs to a model with all rows", where=source, found="a trimmed folder")
        codec = _read_trimmed(source, found, language) if trimmed else cls(found.read_bytes(), language)
        if len(codec) != size:
            fifty = isinstance(size, int) and size == len(codec) - len(MBART_LANGUAGES) + _MBART50_LANGUAGES
            raise VocabularyError(
                "this is mBART-50, whose sequences are ordered otherwise"
                if fifty
                else "the SentencePiece model and config.json of the folder do not belong together",
                where=source,
                expected=f"vocab_size {len(codec)}: the tokenizer's pieces, {len(codec.languages)} languages, <mask>",
                found=f"vocab_size {size}",
                todo="use facebook/mbart-large-cc25" if fifty else "get the whole folder again from where it is from",
            )
        codec.normaliser = normaliser
        return codec if keep_ids is None else codec.trimmed(keep_ids)

    def trimmed(self, rows: Sequence[int]) -> SubwordCodec:
        """The codec with some of its rows, in a new order.

        Raises:
            VocabularyError: they cannot be.
        """
        self._check_rows(rows, len(self))
        kept = list(rows) if self.keep_ids is None else [self.keep_ids[i] for i in rows]
        return SubwordCodec(
            self.model, self.language, languages=self.languages, keep_ids=kept, normaliser=self.normaliser
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def subwords(self, text: str) -> list[int]:
        """Ids of a text without specials; `unk_id` for what has no row."""
        return [self._row_of_piece[i] for i in self._pieces.encode(tidy(seen(self.normaliser, text)))]

    def encode(self, texts: Sequence[str], *, max_len: int | None = None) -> Ragged:
        """``language sub-words </s>`` of each text, the decoder's sequence; ``max_len`` counts both ends."""
        return self._pack([self.language_id, *ids, self.eos_id] for ids in self._cut(texts, max_len))

    def encode_source(self, texts: Sequence[str], *, max_len: int | None = None) -> Ragged:
        """``sub-words </s> language`` of each text: mBART's order on the encoder's side.

        These are also the labels to the decoder's inputs ``encode(texts)``, as many and one step ahead, where the loss
        counts the language code at the end too (GFSLT, SAGE); ``encode(texts)`` shifted by one is the same without it.
        """
        return self._pack([*ids, self.eos_id, self.language_id] for ids in self._cut(texts, max_len))

    def _cut(self, texts: Sequence[str], max_len: int | None) -> Iterable[list[int]]:
        for text in texts_of(texts):
            ids = self.subwords(text)
            yield ids if max_len is None else ids[: max_len - 2]

    @staticmethod
    def _pack(rows: Iterable[list[int]]) -> Ragged:
        return Ragged.pack([torch.tensor(row, dtype=torch.int64) for row in rows])

    def decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Strings of ``(B, T)`` ids; specials vanish, nothing after the first ``</s>`` counts, UNK reads ``<unk>``."""
        texts = (" ".join("".join(self._strings(row)).replace(SPACE, " ").split()) for row in rows_of_ids(ids))
        return [restored(self.normaliser, text) for text in texts]

    def _strings(self, row: Sequence[int]) -> Iterable[str]:
        for i in row:
            if i == self.eos_id:
                return
            if i == self.unk_id:
                yield f"{SPACE}<unk>{SPACE}"
            elif i not in self._special:
                yield self.tokens[id_in(i, len(self))]

    def unknown(self, texts: Iterable[str]) -> Counter[str]:
        """Characters of the texts, after the model's normalisation, that no sequence of ids can write.

        A sub-word without a row is not among them where others can spell it; `slt_zoo.text.coverage` counts those.
        """
        found: Counter[str] = Counter()
        for text in (tidy(seen(self.normaliser, text)) for text in texts_of(texts)):
            if SPACE in text:  # stands for a space inside the model, and comes back as one
                found[SPACE] += text.count(SPACE)
            if self.unk_id in self.subwords(text):  # applied twice, a rule does what it does once
                found.update(self._not_spelt(self._pieces.normalize(text)))
        return found

    def characters(self, texts: Iterable[str]) -> list[int]:
        """Rows of single characters that texts hold, in the order of the texts: with them any word can be spelt.

        Characters are those after the model's normalisation; one without a row of its own is left out.
        """
        content, _ = self._content
        signs = dict.fromkeys(c for text in texts for c in self._pieces.normalize(tidy(seen(self.normaliser, text))))
        return [self.tokens.index(sign) for sign in signs if sign in content]

    @cached_property
    def _content(self) -> tuple[frozenset[str], int]:
        """Tokens that are text, and the length of the longest."""
        content = frozenset(t for i, t in enumerate(self.tokens) if i > self.unk_id and i not in self._special)
        return content, max(map(len, content), default=0)

    def _not_spelt(self, text: str) -> list[str]:
        """The fewest characters that are left over when a text is cut into tokens that have rows."""
        content, longest = self._content
        best: list[tuple[int, int]] = [(0, 0)]  # of each prefix: characters left over, where its last part begins
        for end in range(1, len(text) + 1):
            ways = [(best[b][0], b) for b in range(max(0, end - longest), end) if text[b:end] in content]
            best.append(min([*ways, (best[end - 1][0] + 1, end - 1)]))
        left, end = set(), len(text)
        while end:
            begin = best[end][1]
            if best[end][0] > best[begin][0]:
                left.add(begin)
            end = begin
        # the space before a character that cannot be written is not worth a word of its own
        return [text[i].replace(SPACE, " ") for i in sorted(left) if text[i] != SPACE or i + 1 not in left]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: kind, the model as base64 of its compressed bytes, language, languages, rows, rule if any."""
        packed = base64.b64encode(zlib.compress(self.model, 9)).decode("ascii")
        return {
            "kind": "subword",
            "model": packed,
            "language": self.language,
            "languages": list(self.languages),
            "keep_ids": self.keep_ids,
            **rule_data(self.normaliser),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SubwordCodec:
        """Inverse of `to_dict`.

        Raises:
            VocabularyError: the data are damaged.
        """
        try:
            packed, language, languages, rows = (data[k] for k in ("model", "language", "languages", "keep_ids"))
            model = zlib.decompress(base64.b64decode(packed, validate=True))
        except (KeyError, binascii.Error, zlib.error) as cause:
            raise VocabularyError("the sub-words of a checkpoint are damaged", found=repr(cause)) from cause
        return cls(model, language, languages=languages, keep_ids=rows, normaliser=rule_of(data))


def tidy(text: str) -> str:
    """One space for white space of any kind, none at the ends; no zero-width space."""
    return " ".join(text.replace("\u200b", "").split())


def _processor(model: bytes) -> Any:
    from sentencepiece import SentencePieceProcessor

    try:
        pieces = SentencePieceProcessor(model_proto=model)
    except (RuntimeError, ValueError) as cause:
        raise VocabularyError("the SentencePiece model cannot be read", found=f"{len(model)} bytes, {cause}") from cause
    first = [pieces.id_to_piece(i) for i in range(min(3, len(pieces)))]
    if first != ["<unk>", "<s>", "</s>"] or any(pieces.is_byte(i) for i in range(len(pieces))):
        raise VocabularyError(
            "the SentencePiece model is not of mBART's kind",
            expected="<unk>, <s>, </s> first, and no bytes as pieces",
            found=", ".join(first) or "an empty model",
        )
    return pieces


def _spaced(found: re.Match[str]) -> str:
    return " ".join(found[0])


def _train(texts: Iterable[str], size: int, kind: str, special: int) -> bytes:
    from sentencepiece import SentencePieceTrainer

    # sorted: the order of a manifest is no part of what a vocabulary means
    lines = sorted(line for text in texts if (line := tidy(_CONTROL.sub(_spaced, text.translate(RESERVED)))))
    if not lines:
        raise VocabularyError(
            "there is no text to make a vocabulary of", todo="check that the training split has texts"
        )
    needed = 3 + len(set("".join(lines)) - {" "} | {SPACE})
    if size < needed:
        raise VocabularyError(
            "the vocabulary has fewer ids than the text has characters",
            expected=f"at least {needed + special}",
            found=size + special,
            todo="ask for more",
        )
    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        unk_id=0,
        bos_id=1,
        eos_id=2,
        num_threads=1,
        shuffle_input_sentence=False,
        max_sentence_length=max(len(line.encode()) for line in lines) + 10,  # longer ones are left out without a word
        minloglevel=2,
    )
    return written.getvalue()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as cause:
        raise VocabularyError(f"{path.name} cannot be read", where=path, found=str(cause)) from cause
    if not isinstance(content, dict):
        raise VocabularyError(f"{path.name} cannot be read", where=path, expected="names and values")
    return content


def _read_trimmed(source: str | Path, record_file: Path, language: str) -> SubwordCodec:
    """The codec of a folder that `slt_zoo.text.trim` wrote."""
    record = _read_json(record_file)
    model = model_file(source, TRIMMED_MODEL_FILE).read_bytes()
    try:
        languages, rows, sha256 = record["languages"], record["keep_ids"], record["source"]["sentencepiece_sha256"]
    except (KeyError, TypeError) as cause:
        raise VocabularyError(f"{RECORD_FILE} lacks {cause}", where=record_file, todo="trim the model again") from cause
    if (found := hashlib.sha256(model).hexdigest()) != sha256:
        raise VocabularyError(
            f"{TRIMMED_MODEL_FILE} is not the file that the model was trimmed with",
            where=source,
            expected=f"SHA-256 {sha256}",
            found=found,
            todo="trim the model again",
        )
    return SubwordCodec(model, language, languages=languages, keep_ids=rows)

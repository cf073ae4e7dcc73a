"""Which texts of a split a tokenizer cannot write, and what an mBART that was cut to a corpus was cut to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slt_zoo.data.manifest import Manifest
from slt_zoo.errors import ConfigError, first_few
from slt_zoo.text import Coverage, SubwordCodec
from slt_zoo.text.subword import MBART_LANGUAGES, RECORD_FILE

__all__ = ["Tokenizer", "load_tokenizer"]


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer's folder.

    Attributes:
        pieces: its sentencepiece model, where the folder is as published.
        trimmed: the codec of a folder that ``slt-zoo tokenizer trim`` wrote.
        record: what that wrote of itself.
    """

    pieces: Any = None
    trimmed: SubwordCodec | None = None
    record: dict[str, Any] | None = None

    def about(self) -> list[str]:
        """What the folder is, each a sentence; nothing of one that is as published."""
        if self.trimmed is None or self.record is None:
            return []
        source, text = self.record["source"], self.record.get("text", {})
        weights = source.get("weights_sha256") or {}
        hashes = [f"sentencepiece {source['sentencepiece_sha256'][:12]}"]
        hashes += [f"{name} {digest[:12]}" for name, digest in weights.items()]
        kept = [*text.get("splits", []), *text.get("also", []), *text.get("extra_text_sha256", {})]
        corpus = f"{text.get('corpus', 'a corpus')}{' (simulated)' if text.get('simulated') else ''}"
        return [
            f"tokenizer: {len(self.trimmed)} of {source.get('vocabulary_size')} rows of {source.get('name')}, layout "
            f"{self.record.get('layout')}; SHA-256 of the source: {', '.join(hashes)}",
            f"tokenizer: it was cut to {corpus}: {', '.join(kept) or 'texts that it does not name'}",
        ]

    def on(self, manifest: Manifest) -> list[str]:
        """What it cannot write of the texts of a split, and what it changes, each a sentence."""
        if self.trimmed is None or self.record is None:
            return _unwritable(manifest, self.pieces)
        texts: list[str] = manifest.column("text")
        found = Coverage.of(self.trimmed, texts)
        known = 1 - found.without_row / max(found.subwords, 1)
        told = [f"the tokenizer has rows for {known:.2%} of {found.subwords} sub-words"]
        if found.texts_touched:
            told[0] += f"; {found.texts_touched} of {len(texts)} texts hold one without and come back with <unk>"
        if found.unwritable:
            signs = first_few([f"{sign!r} ({count})" for sign, count in found.unwritable.items()], 10)
            told.append(f"no output of the tokenizer can hold {signs}: a text with one can never be right")
        if found.texts_normalised:
            told.append(
                f"{found.texts_normalised} texts whose sub-words all have rows come back changed from the tokenizer: "
                "it can never write them; score raw strings, or map both sides alike"
            )
        made = self.record.get("text", {}).get("annotation_hash", {}).get(manifest.split)
        if made is not None and made != manifest.annotation_hash:
            told.append(
                f"the tokenizer was cut with other annotations: {made[:12]}, and here they are "
                f"{manifest.annotation_hash[:12]}"
            )
        return told


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """A tokenizer's folder: with a sentencepiece model, as mBART and T5 have it, or trimmed. Nothing is downloaded.

    Raises:
        ConfigError: no such folder, or not one model in it.
        VocabularyError: files of a trimmed folder are damaged, or do not belong together.
    """
    from sentencepiece import SentencePieceProcessor

    folder = Path(folder).expanduser()
    if (folder / RECORD_FILE).is_file():
        codec = SubwordCodec.from_pretrained(folder, MBART_LANGUAGES[0])  # which language does not matter here
        return Tokenizer(trimmed=codec, record=json.loads((folder / RECORD_FILE).read_text(encoding="utf-8")))
    models = sorted(folder.glob("*.model"))
    if len(models) != 1:
        raise ConfigError(
            f"{len(models)} sentencepiece models in the tokenizer's folder",
            where=folder,
            expected="one file *.model, such as sentencepiece.bpe.model, or a folder of `slt-zoo tokenizer trim`",
            found=first_few([p.name for p in models]) or ("no such folder" if not folder.is_dir() else "none"),
        )
    return Tokenizer(SentencePieceProcessor(model_file=str(models[0])))


def _unwritable(manifest: Manifest, pieces: Any) -> list[str]:
    unknown: Counter[str] = Counter()
    changed: list[str] = []
    texts: list[str] = manifest.column("text")
    lost = 0
    for sample_id, text in zip(manifest.ids, texts, strict=True):
        ids = pieces.encode(text)
        if pieces.unk_id() in ids:
            lost += 1
            shown = zip(pieces.encode(text, out_type=str), ids, strict=True)
            unknown.update(piece.strip("\u2581") for piece, number in shown if number == pieces.unk_id())
        elif pieces.decode(ids) != " ".join(text.split()):
            changed.append(sample_id)
    found = []
    if lost:
        signs = first_few([repr(p) for p, _ in unknown.most_common()], 10)
        found.append(f"{lost} of {len(texts)} texts hold what the tokenizer does not know: {signs}")
    if changed:
        found.append(
            f"{len(changed)} texts come back changed from the tokenizer ({first_few(changed, 3)}): it can never write "
            "its references; score raw strings, or map both sides alike"
        )
    return found

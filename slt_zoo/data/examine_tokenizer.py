"""Which texts of a split a tokenizer cannot write."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from slt_zoo.data.manifest import Manifest
from slt_zoo.errors import ConfigError, first_few

__all__ = ["load_pieces", "unwritable"]


def load_pieces(folder: str | Path) -> Any:
    """The sentencepiece model of a tokenizer's folder, as mBART and T5 have it; nothing is downloaded.

    Raises:
        ConfigError: no such folder, or not one model in it.
    """
    from sentencepiece import SentencePieceProcessor

    folder = Path(folder).expanduser()
    models = sorted(folder.glob("*.model"))
    if len(models) != 1:
        raise ConfigError(
            f"{len(models)} sentencepiece models in the tokenizer's folder",
            where=folder,
            expected="one file *.model, such as sentencepiece.bpe.model",
            found=first_few([p.name for p in models]) or ("no such folder" if not folder.is_dir() else "none"),
        )
    return SentencePieceProcessor(model_file=str(models[0]))


def unwritable(manifest: Manifest, pieces: Any) -> list[str]:
    """What the tokenizer cannot write of the texts of a split, and what it changes, each a sentence."""
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

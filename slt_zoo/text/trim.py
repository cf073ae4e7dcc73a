"""mBART cut to the text of a corpus: vocabulary, embedding, tied head and logit bias.

Everything else of the model stays as it is, so the trimmed model's logits are the whole one's at the rows kept. The
same input gives the same bytes. Two layouts (arrangements of rows) are known, those of released checkpoints:

- ``gfslt``: ``<s> <pad> </s> <unk>``, sub-words in the tokenizer's order, language codes, ``<mask>``. With V rows and
  mBART's 25 languages ``de_DE`` is V - 24, ``zh_CN`` V - 2, ``<mask>`` V - 1.
- ``cv_slt``: ``<s> <pad> </s> <unk>``, language codes, ``<mask>`` (30 rows), sub-words by first occurrence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from slt_zoo.errors import ConfigError, UnknownNameError, VocabularyError, first_few
from slt_zoo.text.coverage import Coverage
from slt_zoo.text.subword import RECORD_FILE, TRIMMED_MODEL_FILE, SubwordCodec
from slt_zoo.text.trim_weights import trim_weights

__all__ = ["Layout", "TrimText", "Trimmed", "layout_rows", "trim"]

log = logging.getLogger(__name__)

Layout = Literal["gfslt", "cv_slt"]
FORM = "slt_zoo.trim/2"
"""In the first form texts with ``<unk>`` were not among ``texts_changed``."""
_NO_TOKENIZER = '{"tokenizer_class": "SubwordCodec"}\n'
"""AutoTokenizer takes a folder without tokenizer for an empty one, of 31 ids, and says nothing; this it refuses."""


@dataclass(frozen=True)
class TrimText:
    """What a model is cut to, and what it is measured on.

    Attributes:
        keep: texts whose sub-words are kept, in order.
        references: of each split; the trimmed vocabulary must be able to write them.
        note: where the texts are from, plain data for the record.
        spell: texts whose characters keep rows of their own too, so that they can be written in any word.
    """

    keep: Sequence[str]
    references: Mapping[str, Sequence[str]]
    note: Mapping[str, Any] = field(default_factory=dict)
    spell: Sequence[str] = ()


@dataclass(frozen=True)
class Trimmed:
    """What was made.

    Attributes:
        folder: of the trimmed model.
        codec: its tokenizer.
        source_size: rows of the whole model.
        coverage: by split.
    """

    folder: Path
    codec: SubwordCodec
    source_size: int
    coverage: Mapping[str, Coverage]


def layout_rows(codec: SubwordCodec, texts: Iterable[str], layout: Layout, *, spell: Iterable[str] = ()) -> list[int]:
    """Rows of a codec that texts use, and its special ones, in the order of a layout.

    Args:
        codec: the whole one.
        texts: whose sub-words are kept.
        layout: the order.
        spell: texts whose single characters are kept besides.

    Raises:
        UnknownNameError: no such layout.
        VocabularyError: the texts have no sub-word.
    """
    if layout not in get_args(Layout):
        raise UnknownNameError("layout", layout, get_args(Layout))
    used = list(dict.fromkeys(i for text in texts for i in codec.subwords(text) if i != codec.unk_id))
    if not used:
        raise VocabularyError("there is no text to trim to", todo="check that the splits read have texts")
    used = list(dict.fromkeys([*used, *codec.characters(spell)]))
    control, languages = [0, 1, 2, 3], list(codec.language_ids.values())
    if layout == "cv_slt":
        return [*control, *languages, codec.mask_id, *used]
    whole = codec.keep_ids or range(len(codec))
    return [*control, *sorted(used, key=lambda row: whole[row]), *languages, codec.mask_id]


def trim(
    source: str | Path,
    out: str | Path,
    text: TrimText,
    *,
    layout: Layout = "gfslt",
    allow_unreachable: bool = False,
) -> Trimmed:
    """Write a trimmed mBART.

    Args:
        source: folder or hub name of an mBART, published or trimmed before.
        out: folder to make; it is there whole or not at all.
        text: what to keep and what to measure.
        layout: ``"gfslt"`` or ``"cv_slt"``.
        allow_unreachable: go on where references hold characters that the trimmed vocabulary cannot write.

    Raises:
        ConfigError: the folder is there already, or files of the source are missing.
        VocabularyError: the tokenizer is damaged, or there are such characters.
        CheckpointError: the weights are damaged, or do not fit ``config.json``.
    """
    out = Path(out).expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("the folder for the trimmed model is there already", where=out, todo="name a new one")
    codec = SubwordCodec.from_pretrained(source, "en_XX")  # the language does not matter here
    rows = layout_rows(codec, text.keep, layout, spell=text.spell)
    small = codec.trimmed(rows)
    coverage = {split: Coverage.of(small, texts) for split, texts in text.references.items()}
    _refuse_unwritable(coverage, codec, text, allow=allow_unreachable)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    made.mkdir()
    try:
        hashes = trim_weights(source, made, rows, len(codec))
        (made / TRIMMED_MODEL_FILE).write_bytes(codec.model)
        (made / "tokenizer_config.json").write_text(_NO_TOKENIZER, encoding="utf-8")
        record = {
            "format": FORM,
            "layout": layout,
            "vocabulary_size": len(rows),
            "source": {
                "name": Path(source).name if Path(source).expanduser().is_dir() else str(source),
                "vocabulary_size": len(codec),
                "sentencepiece_sha256": hashlib.sha256(codec.model).hexdigest(),
                "weights_sha256": hashes,
            },
            "text": dict(text.note) | {"keep_sha256": _hash(text.keep)},
            "coverage": {split: found.to_dict() for split, found in coverage.items()},
            "languages": list(small.languages),
            "keep_ids": small.keep_ids,
        }
        (made / RECORD_FILE).write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        made.replace(out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Trimmed(out, small, len(codec), coverage)


def _refuse_unwritable(coverage: Mapping[str, Coverage], codec: SubwordCodec, text: TrimText, *, allow: bool) -> None:
    lost = {split: found.unwritable for split, found in coverage.items() if found.unwritable}
    if not lost:
        return
    told = "; ".join(
        f"{split}: {first_few([f'{sign!r} ({count})' for sign, count in signs.items()], 12)}"
        for split, signs in lost.items()
    )
    if allow:
        log.warning("references hold characters that the trimmed vocabulary cannot write: %s", told)
        return
    hint, ways = _ways_out(codec, text, lost)
    raise VocabularyError(
        "references hold characters that the trimmed vocabulary cannot write: no output can then be right",
        found=told + hint,
        todo=", or ".join([*ways, "go on all the same (--allow-unreachable)"]),
    )


def _ways_out(codec: SubwordCodec, text: TrimText, lost: Mapping[str, Mapping[str, int]]) -> tuple[str, list[str]]:
    """What the source itself cannot write, and the ways out that would change something: each is tried."""
    references = [t for texts in text.references.values() for t in texts]
    letters = sorted({sign for signs in lost.values() for sign in signs})
    count = sum(sum(signs.values()) for signs in lost.values())

    def left(extra: Sequence[str], read: Sequence[str]) -> Counter[str]:
        rows = layout_rows(codec, [*text.keep, *read, *extra], "gfslt", spell=[*text.spell, *extra])
        return codec.trimmed(rows).unknown(references)

    ways = []
    if left(letters, []).total() < count:
        ways.append("give a text of them (--extra-text FILE)")
    if left([], references).total() < count:
        ways.append("read more splits (--splits)")
    cut_before = codec.keep_ids is not None
    never = codec.unknown(references)
    inside = sorted(set(left(letters, references)) - set(never))
    if cut_before and (never or inside):
        ways.append("trim the model that the source was cut from")
    hint = ""
    if never:
        whole = "source, which was cut before," if cut_before else "whole tokenizer"
        hint += f"; the {whole} cannot write {first_few([repr(c) for c in sorted(never)])} either"
    if inside:
        shown = first_few([repr(c) for c in inside])
        hint += f"; the source has {shown} only inside longer sub-words, which these texts do not use"
    return hint, ways


def _hash(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()

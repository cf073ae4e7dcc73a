"""``slt-zoo tokenizer trim``: an mBART cut to what a corpus uses."""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slt_zoo.cli.corpora import name_corpus, open_corpus
from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError, DatasetNotFoundError

if TYPE_CHECKING:
    from slt_zoo.data.base import SLTDataModule
    from slt_zoo.data.manifest import Manifest
    from slt_zoo.text.trim import Trimmed, TrimText

__all__ = ["main"]

log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Trim, and say what was kept."""
    options = _parse(argv[1:])
    from slt_zoo.text.trim import trim

    data = open_corpus(options.corpus, options.root, options.set)
    text = _text(data, options)
    found = trim(options.model, options.out, text, layout=options.layout, allow_unreachable=options.allow_unreachable)
    _show(found)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(prog="slt-zoo tokenizer", description="What tokenizers need before training.")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    about = (
        "Cut vocabulary, embedding, tied head and logit bias of an mBART to what a corpus uses. The same input gives "
        "the same bytes. trim.json beside the weights says what was kept and how much of each split it covers."
    )
    trim = jobs.add_parser("trim", help="cut an mBART to what a corpus uses", description=about)
    trim.add_argument(
        "--model",
        required=True,
        metavar="DIR",
        help="folder of an mBART-large-cc25, or its hub name, which is downloaded",
    )
    name_corpus(trim, splits=("train",), what="whose text is kept")
    trim.add_argument(
        "--also",
        nargs="+",
        choices=("gloss", "question"),
        default=[],
        help="keep their text too; glosses in lower case, as CV-SLT did",
    )
    trim.add_argument(
        "--extra-text",
        nargs="+",
        metavar="FILE",
        default=[],
        help="UTF-8 text to keep too; each of its characters can then be written in any word",
    )
    trim.add_argument(
        "--layout", choices=("gfslt", "cv_slt"), default="gfslt", help="order of the rows, as released (%(default)s)"
    )
    trim.add_argument(
        "--allow-unreachable",
        action="store_true",
        help="go on where references hold characters that the trimmed vocabulary cannot write",
    )
    trim.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    return parser.parse_args(words)


def _text(data: SLTDataModule, options: argparse.Namespace) -> TrimText:
    from slt_zoo.text.trim import TrimText
    from slt_zoo.types import SPLITS, as_split

    read = [as_split(name) for name in options.splits]
    keep: list[str] = []
    references: dict[str, list[str]] = {}
    hashes: dict[str, str] = {}
    for split in dict.fromkeys([*read, *SPLITS]):
        try:
            manifest = data.manifest(split)
        except DatasetNotFoundError as error:
            if split in read:
                raise
            log.warning("%s is not measured: %s", split, error.what)
            continue
        hashes[split] = manifest.annotation_hash
        references[split] = [text for s in manifest for text in dict.fromkeys((s.text, *s.references))]
        if split in read:
            keep.extend(_kept(manifest, options.also))
    extra: dict[str, Any] = {}
    lines: list[str] = []
    for name in options.extra_text:
        content = _read_text(Path(name).expanduser())
        lines.extend(content.splitlines())
        extra[Path(name).name] = hashlib.sha256(content.encode()).hexdigest()
    note = {
        "corpus": data.corpus,
        "simulated": data.simulated,
        "splits": read,
        "also": sorted(options.also),
        "extra_text_sha256": extra,
        "annotation_hash": hashes,
    }
    ordered: dict[str, list[str]] = {split: references[split] for split in SPLITS if split in references}
    return TrimText([*keep, *lines], ordered, note, lines)


def _kept(manifest: Manifest, also: Sequence[str]) -> Iterator[str]:
    for sample in manifest:
        yield sample.text
        if "gloss" in also:
            if sample.gloss is None:
                raise ConfigError(
                    "the corpus has no glosses", where=f"sample {sample.id}", todo="leave --also gloss out"
                )
            yield " ".join(sample.gloss).lower()
        if "question" in also:
            if sample.question is None:
                raise ConfigError(
                    "the corpus has no questions", where=f"sample {sample.id}", todo="leave --also question out"
                )
            yield sample.question


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as cause:
        raise ConfigError("the extra text is not UTF-8", where=path, found=str(cause)) from cause


def _show(found: Trimmed) -> None:
    print(f"{found.folder}: {len(found.codec)} of {found.source_size} rows")
    for split, covered in found.coverage.items():
        known = 1 - covered.without_row / max(covered.subwords, 1)
        print(
            f"{split}: {covered.texts} texts, {known:.2%} of {covered.subwords} sub-words have a row; "
            f"{covered.texts_changed} texts do not come back: {covered.texts_touched} hold a sub-word without a row, "
            f"which reads <unk>, {covered.texts_normalised} are changed by the tokenizer's normalisation alone"
        )

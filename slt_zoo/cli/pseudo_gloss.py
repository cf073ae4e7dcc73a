"""``slt-zoo pseudo-gloss``: the content words of a corpus's sentences, to look at or to keep."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slt_zoo.cli.corpora import name_corpus, open_corpus
from slt_zoo.cli.messages import Words

if TYPE_CHECKING:
    from slt_zoo.data.manifest import Manifest
    from slt_zoo.text import PseudoGlosses

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Print or write a line a sample; what they were made with goes to standard error."""
    options = _parse(argv[1:])
    from slt_zoo.files import write_atomically
    from slt_zoo.text import pseudo_glosses
    from slt_zoo.types import as_split

    data = open_corpus(options.corpus, options.root, options.set)
    dropped: tuple[str, ...] = ()
    if options.max_share is not None:  # a word is frequent or not by the sentences of train, in every split
        train = data.manifest("train").column("text")
        made = pseudo_glosses(train, data.language, tagger=options.tagger, max_share=options.max_share)
        dropped = made.dropped
    lines: list[str] = []
    for split in dict.fromkeys(map(as_split, options.splits)):
        manifest = data.manifest(split)
        found = pseudo_glosses(manifest.column("text"), data.language, tagger=options.tagger, drop=dropped)
        lines += _lines(manifest, found)
        print(_summary(split, found), file=sys.stderr)
    if dropped:
        print(f"dropped as frequent: {' '.join(dropped)}", file=sys.stderr)
    text = "".join(f"{line}\n" for line in lines)
    if options.out is None:
        print(text, end="")
    else:
        write_atomically(Path(options.out), text)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo pseudo-gloss",
        description="Pseudo-glosses of a corpus, JSON lines with id, split, text and pseudo_gloss: content words of "
        "the sentence in its order. They say nothing about what was signed. Nothing is downloaded.",
    )
    name_corpus(parser, splits=("train",))
    parser.add_argument(
        "--tagger",
        choices=("auto", "hanta", "jieba", "spacy", "stopwords"),
        default="auto",
        help="auto: HanTa for German, English, Dutch, jieba for Chinese, else spaCy's model if it is installed, else "
        "(Greek) a list of stop words (%(default)s)",
    )
    parser.add_argument(
        "--max-share", type=float, metavar="X", help="drop words in at least this share of train's sentences"
    )
    parser.add_argument("--out", metavar="FILE.jsonl", help="write a file instead of printing")
    return parser.parse_args(words)


def _lines(manifest: Manifest, found: PseudoGlosses) -> Iterator[str]:
    for sample, words in zip(manifest, found.glosses, strict=True):
        row = {"id": sample.id, "split": sample.split, "text": sample.text, "pseudo_gloss": list(words)}
        yield json.dumps(row, ensure_ascii=False)


def _summary(split: str, found: PseudoGlosses) -> str:
    made_by = " ".join(str(found.tagger[name]) for name in ("tagger", "version", "model") if name in found.tagger)
    each = sum(map(len, found.glosses)) / max(1, len(found.glosses))
    kinds = len({word for words in found.glosses for word in words})
    return (
        f"{split}: {len(found.glosses)} sentences, {each:.1f} pseudo-glosses each, {kinds} different, "
        f"{len(found.empty)} sentences without any; by {made_by}"
    )

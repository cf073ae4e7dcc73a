"""``slt-zoo doctor``: is this corpus what it should be?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slt_zoo.cli.corpora import name_corpus, open_corpus
from slt_zoo.cli.messages import Words

if TYPE_CHECKING:
    from slt_zoo.data.base import SLTDataModule
    from slt_zoo.data.examine import Examination

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Examine a corpus; 0: no fault, 1: faults, 2: an error of use."""
    options = _parse(argv[1:])
    places = {name: getattr(options, name) for name in ("poses", "features", "frames")}
    data = open_corpus(options.corpus, options.root, options.set, **places)
    from slt_zoo.data.examine import examine
    from slt_zoo.types import as_split

    splits = [as_split(name) for name in options.splits]
    found = examine(data, splits=splits, read=options.read, tokenizer=options.tokenizer)
    if options.json:
        print(json.dumps(found.to_dict() | _access(data), ensure_ascii=False, indent=2))
    else:
        _show(found, data)
    return 0 if found.healthy else 1


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo doctor",
        description="Compare a corpus on the disk with the published one: counts, versions of texts and glosses, odd "
        "texts, leaks between splits, media. Nothing is changed or downloaded. Exit status: 0 no fault, 1 faults.",
    )
    name_corpus(parser, "poses", "features", "frames")
    parser.add_argument(
        "--read", type=int, default=10, metavar="N", help="media to open in each split and kind; -1: all (%(default)s)"
    )
    parser.add_argument(
        "--tokenizer",
        metavar="DIR",
        help="folder with a sentencepiece model, or a trimmed mBART: which texts can it not write?",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(words)


def _access(data: SLTDataModule) -> dict[str, str]:
    return {"licence": data.licence, "access": data.access}


def _show(found: Examination, data: SLTDataModule) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{found.corpus} in {found.root}")
    for heading in ("split", "samples", "published", "texts and glosses", "hash", "different texts", "media"):
        table.add_column(heading, justify="right" if heading in ("samples", "published", "different texts") else "left")
    for split, row in found.splits.items():
        media = ", ".join(f"{kind} {count}" for kind, count in row["media"].items()) or "none"
        published = "" if row["published"] is None or row["version"] == "simulated" else str(row["published"])
        counts = (str(row["samples"]), published, row["version"], row["annotation_hash"][:12], str(row["texts"]))
        table.add_row(split, *counts, media)
    console = Console(width=130, soft_wrap=True)
    console.print(table)
    for finding in found.findings:
        print(f"{finding.kind}: {finding.split + ': ' if finding.split else ''}{finding.text}")
    print(f"{found.read} media files opened; --read -1 opens all")
    print(f"licence: {data.licence or 'not known'}\naccess: {data.access or 'not known'}")
    print("healthy" if found.healthy else "there are faults")

"""``slt-zoo compare``: which differences between systems are real."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError, ScoreError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Rank two or more systems; those that cannot be told apart share a rank."""
    options = _parse(argv[1:])
    from slt_zoo.cli.score import read_references
    from slt_zoo.metrics import rank, reference_hash
    from slt_zoo.metrics.known import KNOWN, PROTOCOL_OF
    from slt_zoo.metrics.significance import is_better_low
    from slt_zoo.metrics.systems import join, read_system

    if len(options.systems) < 2:
        raise ConfigError("there is nothing to compare", found=f"{len(options.systems)} system", expected="2 or more")
    read = [read_system(path, options.split) for path in options.systems]
    corpus = None
    if options.references is not None:
        found = read_references(options.references, options.split, options.split_file)
        references, corpus = found.under(options.protocol or ""), found.corpus
    else:
        references = read[0].references
        others = [s.name for s in read if s.references != references]
        if not references or others:
            raise ScoreError(
                "the systems have no references, or not the same" if not references else "the references differ",
                found=f"{read[0].name} and {', '.join(others)}" if others else read[0].name,
                todo="pass --references with the corpus's annotation",
            )
        known = KNOWN.get(reference_hash(references))
        corpus = known.corpus if known else None
    names = _names(options.systems, [s.name for s in read])
    systems = {name: join(system, references) for name, system in zip(names, read, strict=True)}
    protocol = options.protocol or (PROTOCOL_OF.get(corpus) if corpus else None) or "strict"
    ranks = rank(systems, references, protocol, options.metric, options.samples, options.seed)
    if options.json:
        rows = [
            {
                "rank": r.rank,
                "name": r.name,
                "value": r.value,
                "to_best": r.to_best.to_dict() if r.to_best else None,
                "to_previous": r.to_previous.to_dict() if r.to_previous else None,
            }
            for r in ranks
        ]
        print(json.dumps({"protocol": protocol, "metric": options.metric, "ranks": rows}, ensure_ascii=False, indent=2))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{options.metric}, protocol {protocol}, {len(references)} sentences")
    for heading in ("rank", "system", options.metric, "behind", "by", "95 % interval", "p bootstrap", "p random."):
        table.add_column(heading, justify="left" if heading in ("system", "behind") else "right", no_wrap=True)
    for place, row in enumerate(ranks):
        found_ = row.to_best or row.to_previous
        cells = ["", "", "", "", ""]
        if found_ is not None:
            best = next(r for r in reversed(ranks[:place]) if r.to_best is None)
            span = f"[{found_.interval[0]:.2f}, {found_.interval[1]:.2f}]"
            cells = [best.name, f"{abs(found_.difference):.2f}", span]
            cells += [f"{found_.p_bootstrap:.3f}", f"{found_.p_randomisation:.3f}"]
        table.add_row(str(row.rank), row.name, f"{row.value:.2f}", *cells)
    Console(width=150, soft_wrap=True).print(table)
    if is_better_low(options.metric):
        print(f"of {options.metric} the low value is the good one; the interval is of the better one less the other")
    print("systems of one rank cannot be told apart (5 %, both tests) from the best of it: that is not to be equal")
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo compare",
        description="Compare systems on the same sentences: paired bootstrap and approximate randomisation. Systems "
        "that cannot be told apart share a rank.",
    )
    parser.add_argument("systems", nargs="+", help="`slt-zoo score --out` files, .jsonl, run folders, or text")
    parser.add_argument("--references", metavar="R", help="as of `slt-zoo score`; default: those in the files")
    parser.add_argument("--protocol", metavar="NAME", help="default: the corpus's own, else strict")
    parser.add_argument("--metric", default="bleu4", help="a value of the protocol (%(default)s)")
    parser.add_argument("--split", default="test", help="of run folders, or of a --split-file (%(default)s)")
    parser.add_argument("--split-file", metavar="FILE", help="ids of the split, where R holds several")
    parser.add_argument("--samples", type=int, default=1000, help="of both tests (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of both tests (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(words)


def _names(paths: Sequence[str], stems: Sequence[str]) -> list[str]:
    """Short names where they tell the systems apart, else the paths."""
    if len(set(stems)) == len(stems):
        return list(stems)
    if len(set(paths)) < len(paths):
        raise ConfigError("a system is named twice", found=", ".join(paths))
    return [str(Path(path)) for path in paths]

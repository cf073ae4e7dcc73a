"""``slt-zoo score``: any system's output under a named protocol, beside what it must beat."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slt_zoo.cli.corpora import one_or_more_places
from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError, ScoreError

if TYPE_CHECKING:
    from slt_zoo.data.official import Entry
    from slt_zoo.metrics import ScoreReport
    from slt_zoo.metrics.systems import System

__all__ = ["References", "main", "read_references"]

log = logging.getLogger(__name__)

COLUMNS = (
    *("bleu1", "bleu4", "rbleu", "chrf", "rouge_l_b12", "rouge_l_f1", "rouge_l_pr", "rouge_l_pkg"),
    *("wer", "wer_334", "exact"),
)


@dataclass(frozen=True)
class References:
    """What hypotheses are scored against.

    Attributes:
        strings: by id, in the order of the file.
        corpus: class name of the corpus whose official format the file has; None: another file.
        entries: the whole annotation, where it is one.
    """

    strings: dict[str, tuple[str, ...]]
    corpus: str | None = None
    entries: tuple[Entry, ...] = ()

    def under(self, protocol: str) -> dict[str, tuple[str, ...]]:
        """The strings that a protocol is about: glosses for ``gloss``, where the annotation has them."""
        if protocol != "gloss" or not self.entries or any(e.gloss is None for e in self.entries):
            return self.strings
        glosses = {e.id: (" ".join(e.gloss or ()),) for e in self.entries}
        return {i: glosses[i] for i in self.strings}


def main(argv: Sequence[str]) -> int:
    """Score a file of hypotheses."""
    options = _parse(argv[1:])
    from slt_zoo.metrics import score
    from slt_zoo.metrics.sentence_scores import read_sentence_scores
    from slt_zoo.metrics.systems import join, read_system

    system = read_system(options.hypotheses, options.split)
    references = _references(options, system)
    _same_split(options, system, references)
    hypotheses = join(system, references.strings)
    names = _protocols(options.protocol, references.corpus)
    notes: dict[str, Any] = _notes_of_run(Path(options.hypotheses), options.split)
    notes |= {"hypotheses": str(options.hypotheses), "references": str(options.references or options.hypotheses)}
    external = dict(read_sentence_scores(word, list(references.strings)) for word in options.external)
    settings = {"samples": options.samples, "seed": options.seed, "external": external, "extra": notes}
    reports = [score(hypotheses, references.under(name), name, **settings) for name in names]
    # by default under the corpus's own protocol, which stands last
    rows = _with_baselines(options, references, names[0 if options.protocol else -1]) if options.with_baselines else []
    if options.out is not None:
        _write(Path(options.out), system, hypotheses, references, reports)
    if options.json:
        found = [json.loads(report.to_json()) for report in reports]
        baselines = [{"name": n, "values": r.values if r else None, "lacks": why} for n, r, why in rows]
        print(json.dumps({"reports": found, "baselines": baselines}, ensure_ascii=False, indent=2))
        return 0
    _show(system.name, reports, rows)
    print(_known(references, reports[0]))
    return 0


def _notes_of_run(run: Path, split: str) -> dict[str, Any]:
    """How the run of a folder decoded, and with which weights: from its own score file."""
    from slt_zoo.metrics import load_scores

    if not (run / "scores.json").is_file():
        return {}
    report = load_scores(run / "scores.json").get(split)
    kept = ("model", "decoding", "checkpoint", "simulated", "trained_on", "trained_on_simulated", "complete")
    return {} if report is None else {k: v for k, v in report.extra.items() if k in kept}


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo score",
        description="Score the output of any system: JSON lines with id and hypothesis, a run folder, or plain text, a "
        "sentence a line. Values of two protocols cannot be compared.",
    )
    parser.add_argument("--hypotheses", required=True, metavar="H", help=".jsonl, run folder, or text")
    parser.add_argument(
        "--references",
        metavar="R",
        help="official annotation, JSON lines with id and references, or text; default: those beside the hypotheses",
    )
    parser.add_argument(
        "--protocol", nargs="+", metavar="NAME", help="one or more, or all; default: strict and the corpus's own"
    )
    parser.add_argument("--split", default="test", help="of a run folder, or of a --split-file (%(default)s)")
    parser.add_argument("--split-file", metavar="FILE", help="ids of the split, where R holds several")
    parser.add_argument("--samples", type=int, default=1000, help="of the bootstrap; 0: no intervals (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    parser.add_argument("--with-baselines", action="store_true", help="rows of what a system must beat")
    parser.add_argument("--train", metavar="FILE", help="annotation of train for the baselines; default: beside R")
    parser.add_argument(
        "--features",
        type=one_or_more_places,
        metavar="PLACE",
        help="for the nearest training sample; as data.features: a path, a name below the corpus's features, a list",
    )
    parser.add_argument("--feature-stride", type=int, metavar="N", help="of them; as data.feature_stride")
    parser.add_argument("--question-only", metavar="RUN", help="run folder of a model that sees the question alone")
    parser.add_argument(
        "--external", nargs="+", metavar="NAME=FILE", default=[], help="scores of each sentence by BLEURT, COMET, ..."
    )
    parser.add_argument("--out", metavar="FILE.json", help="reports, hypotheses and references, for `slt-zoo compare`")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(words)
    if options.samples < 0:
        raise ConfigError("--samples must be at least 0", found=options.samples)
    if options.feature_stride is not None and (options.features is None or options.feature_stride < 1):
        raise ConfigError(
            "--feature-stride is of --features, and at least 1",
            found=f"--feature-stride {options.feature_stride}, --features {options.features}",
        )
    only = {name: getattr(options, name.replace("-", "_")) for name in ("train", "features", "question-only")}
    unused = [f"--{name}" for name, value in only.items() if value is not None]
    if unused and not options.with_baselines:
        log.warning("%s: of no use without --with-baselines, and not read", " and ".join(unused))
    return options


def _references(options: argparse.Namespace, system: System) -> References:
    if options.references is not None:
        return read_references(options.references, options.split, options.split_file)
    if not system.references:
        raise ScoreError(
            "there are no references", where=options.hypotheses, todo="pass --references with the corpus's annotation"
        )
    log.warning("references are those that stand beside the hypotheses; pass --references to be sure of them")
    return References(system.references)


def read_references(path: str | Path, split: str = "test", split_file: str | Path | None = None) -> References:
    """References from an official annotation file, JSON lines or plain text.

    Args:
        path: the file.
        split: of the split file.
        split_file: ids of the split, where the annotation holds several splits.

    Raises:
        SLTError: the file is missing, damaged or of no known form, or ids of the split are not in it.
    """
    from slt_zoo.data.official import UnknownFormatError, read_id_list, read_official
    from slt_zoo.metrics.systems import is_plain, line_ids, read_lines, read_reference_lines, read_system

    path = Path(path)
    if path.suffix == ".jsonl":
        return References(read_reference_lines(path))
    if path.suffix == ".json":
        return References(read_system(path).references)
    try:
        official = read_official(path)
    except UnknownFormatError:
        if not is_plain(path):
            raise
        lines = read_lines(path)
        signs = {(line.count("|"), line.count("\t")) for line in lines[:50]}
        if len(signs) == 1 and signs != {(0, 0)}:  # a table that is no annotation is not one sentence a line
            raise
        return References(dict(zip(line_ids(len(lines)), ((line,) for line in lines), strict=True)))
    entries = {e.id: e for e in official.entries}
    ids = list(entries)
    if split_file is not None:
        ids = read_id_list(split_file, split)
        lacking = [i for i in ids if i not in entries]
        if lacking:  # CSL-Daily's own files disagree about one sample
            log.warning("%d of %d ids of %s have no annotation: %s", len(lacking), len(ids), split_file, lacking[:3])
        ids = [i for i in ids if i in entries]
    return References({i: (entries[i].text,) for i in ids}, official.corpus, tuple(official.entries))


def _protocols(asked: list[str] | None, corpus: str | None) -> list[str]:
    from slt_zoo.metrics import PROTOCOLS, get_protocol
    from slt_zoo.metrics.known import PROTOCOL_OF

    if asked is None:
        return ["strict", *([PROTOCOL_OF[corpus]] if corpus in PROTOCOL_OF else [])]
    if "all" in asked:
        return list(PROTOCOLS)
    return list(dict.fromkeys(get_protocol(name).name for name in asked))


def _same_split(options: argparse.Namespace, system: System, references: References) -> None:
    """Ids that differ for a reason that can be named."""
    ids, wanted = set(system.hypotheses), set(references.strings)
    if system.plain or ids == wanted:
        return
    numbers = all(i.isdigit() for i in wanted)
    if references.corpus is None and numbers and not ids & wanted:
        raise ScoreError(
            "the hypotheses have ids, the references are lines without",
            todo="give references with the same ids (the annotation, or JSON lines), or both as plain text",
        )
    if references.corpus is not None and ids < wanted and options.split_file is None:
        raise ScoreError(
            "the annotation holds more samples than were decoded",
            expected=f"{len(wanted)} ids",
            found=f"{len(ids)} ids, all among them",
            todo="name the split that was decoded: --split-file FILE --split NAME",
        )


def _with_baselines(
    options: argparse.Namespace, references: References, protocol: str
) -> list[tuple[str, ScoreReport | None, str | None]]:
    from slt_zoo.cli.baselines import Places, baselines
    from slt_zoo.metrics import score

    places = options.features and Places(options.features, options.feature_stride)
    rows: list[tuple[str, ScoreReport | None, str | None]] = []
    for name, hypotheses, lacks in baselines(
        references,
        options.references,
        options.train,
        places,
        options.question_only,
        options.split,
        options.split_file,
    ):
        report = None
        if hypotheses is not None:
            report = score(hypotheses, references.strings, protocol, samples=options.samples, seed=options.seed)
        rows.append((name, report, lacks))
    return rows


def _write(
    path: Path, system: System, hypotheses: dict[str, str], references: References, reports: list[ScoreReport]
) -> None:
    from slt_zoo.files import write_atomically

    data = {
        "name": system.name,
        "plain": system.plain and references.corpus is None,
        "reports": [json.loads(report.to_json()) for report in reports],
        "hypotheses": hypotheses,
        "references": references.under(reports[0].protocol),
    }
    write_atomically(path, json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def _show(name: str, reports: list[ScoreReport], rows: list[tuple[str, ScoreReport | None, str | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from slt_zoo.metrics import get_protocol

    if len(reports) == 1:
        print(reports[0].table())
    else:
        external = [name for name in reports[0].values if name not in get_protocol(reports[0].protocol).score_names]
        columns = [*(c for c in COLUMNS if any(c in r.values for r in reports)), *external]
        table = Table(title=f"{name}: {reports[0].num_samples} sentences, percent, 95 % intervals of BLEU-4")
        table.add_column("protocol", no_wrap=True)
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        for report in reports:
            table.add_row(report.protocol, *(_cell(report, column) for column in columns))
        Console(width=180, soft_wrap=True).print(table)
        for caveat in dict.fromkeys(c for r in reports for c in r.caveats()):
            print(caveat)
        print("values of two protocols cannot be compared; `slt-zoo list protocols` describes them")
    if rows:
        _show_baselines(name, reports, rows)


def _show_baselines(
    name: str, reports: list[ScoreReport], rows: list[tuple[str, ScoreReport | None, str | None]]
) -> None:
    from rich.console import Console
    from rich.table import Table

    protocol = next((r.protocol for _, r, _ in rows if r), reports[0].protocol)
    own = next(r for r in reports if r.protocol == protocol)
    columns = [c for c in COLUMNS if c in own.values]
    table = Table(title=f"beside what needs no signing, protocol {protocol}")
    table.add_column("system", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_row(name, *(_cell(own, column) for column in columns))
    for row, found, _ in rows:
        table.add_row(row, *(_cell(found, c) if found else "" for c in columns))
    Console(width=180, soft_wrap=True).print(table)
    for row, found, lacks in rows:
        if found is None:
            print(f"{row}: needs {lacks}")


def _cell(report: ScoreReport, column: str) -> str:
    if column not in report.values:
        return ""
    interval = report.intervals.get(column) if column == "bleu4" else None
    return f"{report.values[column]:.2f}" + (f" [{interval[0]:.1f}, {interval[1]:.1f}]" if interval else "")


def _known(references: References, report: ScoreReport) -> str:
    from slt_zoo.metrics.known import KNOWN

    known = KNOWN.get(report.reference_hash)
    if known is not None:
        return f"references: {known}; hash {report.reference_hash[:12]}"
    if references.corpus is not None:
        log.warning(
            "these %d references have the form of %s and are none of its known splits (hash %s): another version, a "
            "part, simulated, or changed; do not compare with published numbers",
            len(references.strings),
            references.corpus,
            report.reference_hash[:12],
        )
    return f"references: hash {report.reference_hash[:12]}, of no official split that is known here"

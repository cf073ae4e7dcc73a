"""``slt-zoo simulate``: write simulated signing in a corpus's official layout."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from slt_zoo.cli.messages import Words

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Write a simulated corpus and say what was written.

    Args:
        argv: words of the command line, ``simulate`` first.

    Returns:
        The exit status.

    Raises:
        SLTError: whatever `slt_zoo.synthetic.simulate` refuses.
    """
    options = _parse(argv[1:])
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from slt_zoo.synthetic import simulate

    began = time.monotonic()
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("clips", total=None)
        root = simulate(
            options.corpus,
            options.root,
            samples=options.samples,
            seed=options.seed,
            difficulty=options.difficulty,
            render=options.render,
            annotations=options.annotations,
            lexicon=options.lexicon,
            question_overlap=options.question_overlap,
            fps=options.fps,
            signers=options.signers,
            frame_size=options.frame_size and tuple(options.frame_size),
            overwrite=options.overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for line in (
        _summary(root.joinpath("SIMULATED.json").read_text(encoding="utf-8")),
        f"{root}: written in {time.monotonic() - began:.1f} s",
        "Simulated signing is no sign language; no score on it is a translation result.",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo simulate",
        description="Write simulated signing in a corpus's official layout. "
        "Simulated signing is no sign language; no score on it is a translation result.",
    )
    parser.add_argument("--corpus", default="Phoenix14T", help="whose layout: `slt-zoo list corpora` (%(default)s)")
    parser.add_argument("--root", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--samples",
        type=int,
        nargs=3,
        default=(800, 100, 100),
        metavar=("TRAIN", "DEV", "TEST"),
        help="how many (800 100 100); with --annotations the first so many of each split",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed writes the same bytes (%(default)s)")
    parser.add_argument("--difficulty", type=float, default=0.3, help="0 (clean) to 1 (hard) (%(default)s)")
    parser.add_argument(
        "--render", nargs="+", default=["pose"], metavar="KIND", help="pose, frames, video, features (pose)"
    )
    parser.add_argument("--annotations", metavar="FILE", help="use the sentences of this annotation file or folder")
    parser.add_argument("--lexicon", metavar="DIR", help="join the real recordings of this folder with index.csv")
    parser.add_argument(
        "--question-overlap",
        type=float,
        metavar="SHARE",
        help="of a sentence's words that its question may repeat, 0 to 1 (0.3); for corpora with questions",
    )
    parser.add_argument("--fps", type=float, help="frames a second (the corpus's)")
    parser.add_argument(
        "--signers",
        type=int,
        nargs=3,
        metavar=("TRAIN", "DEV", "TEST"),
        help="how many different ones sign each split (the corpus's, mostly 7 1 2); annotations bring their own",
    )
    parser.add_argument("--frame-size", type=int, nargs=2, metavar=("W", "H"), help="in pixels (the corpus's)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier simulated corpus")
    return parser.parse_args(words)


def _summary(mark: str) -> str:
    import json

    facts = json.loads(mark)
    counts = ", ".join(f"{count} {split}" for split, count in facts["samples"].items())
    asked = facts.get("question_overlap")
    made = f"difficulty {facts['difficulty']:g}, seed {facts['seed']}"
    made += "" if asked is None else f", question overlap {asked:g}"
    return f"{facts['corpus']}: {counts}; {', '.join(facts['render'])}; {made}"

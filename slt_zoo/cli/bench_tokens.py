"""``slt-zoo bench tokens``: what do visual tokens cost, made of segments and by fixed schemes?"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from slt_zoo.cli.corpora import open_corpus
from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError

__all__ = ["main"]

TOKENIZATIONS = ("segment", "maxpool", "stride", "uniform", "window")
SIZES = {
    "clips": (int, 4, "of a batch"),
    "frame_size": (int, 48, "height and width of frames"),
    "encoder": (str, "resnet10t", "of frames, its name in timm"),
    "width": (int, 256, "D of tokens and text"),
    "layers": (int, 2, "of the mBART of stage 2; TE has three at most"),
    "heads": (int, 4, "of attention"),
    "ffn": (int, 1024, "width of feed-forward blocks"),
    "vocabulary": (int, 300, "sub-words at most"),
    "frame_stride": (int, 2, "every so many frames of a segment are read"),
    "reduction_factor": (int, 4, "frames a token of the fixed schemes; maxpool takes 4"),
}
"""Name in `BudgetSizes`: type, default, what it is. A test holds the defaults against those there."""

HEADS = """
               a clip:         tokens /    kept for backward, MiB     peak       ms      CPU
           frames read  tokens   frames        all    but encoder      MiB                ms
"""[1:-1]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0."""
    options = _parse(argv[1:])
    if (options.corpus is None) != (options.root is None):
        raise ConfigError("--corpus and --root belong together", found="only one of them")
    if options.corpus is None and (options.segments or options.set):
        raise ConfigError("--segments and --set are of a corpus", todo="name it: --corpus, --root")
    # torch's profiler would tell that it starts and stops, and of memory that was there before: read when torch loads
    os.environ.setdefault("KINETO_LOG_LEVEL", "99"), os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from slt_zoo.analysis.token_budget import BudgetSizes, token_budget
    from slt_zoo.cli.training import quiet_tips

    corpus = None
    if options.corpus is not None:
        corpus = partial(open_corpus, options.corpus, options.root, options.set, segments=options.segments)
    with quiet_tips():
        found = token_budget(
            options.stages,
            options.tokenizations,
            sizes=BudgetSizes(**{name: getattr(options, name) for name in SIZES}),
            seconds=options.seconds,
            corpus=corpus,
            device=options.device,
            tell=lambda text: print(f"... {text}", file=sys.stderr),
        )
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo bench tokens",
        description="Tokens a clip, memory and time of a training step of SAGE, for each way to make visual tokens, "
        "on the same clips, in turn. Memory: what autograd keeps for the backward pass, counted by "
        "torch.autograd.graph.saved_tensors_hooks, each storage once, without parameters and input; and the most that "
        "torch holds during a step. Sizes are small; the paper's: --clips 8 --frame-size 224 --encoder resnet34 "
        "--width 1024 --layers 12 --heads 16 --ffn 4096. On simulated signing, or with --corpus on your own.",
    )
    parser.add_argument("--stages", nargs="+", type=int, default=[1, 2], choices=[1, 2], help="(1 2)")
    parser.add_argument(
        "--tokenizations", nargs="+", default=list(TOKENIZATIONS), choices=TOKENIZATIONS, metavar="NAME", help="(all)"
    )
    for name, (kind, default, what) in SIZES.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(
            option, type=kind, default=default, metavar="N" if kind is int else "NAME", help=f"{what} (%(default)s)"
        )
    parser.add_argument("--seconds", type=float, default=20.0, help="that timing may take, about (%(default)g)")
    parser.add_argument("--corpus", metavar="NAME", help="yours instead of simulated signing (`slt-zoo list corpora`)")
    parser.add_argument("--root", metavar="DIR", help="as data.root")
    parser.add_argument("--segments", metavar="NAME", help="as data.segments: labels, fixed-8, ...")
    parser.add_argument("--set", nargs="+", metavar="NAME=VALUE", default=[], help="other arguments of the corpus")
    parser.add_argument("--device", default="cpu", help="of torch (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args(words)


def _show(found: dict[str, Any]) -> None:
    sizes, machine = found["sizes"], found["machine"]
    source = "simulated signing (no sign language)" if found["simulated"] else found["corpus"]
    print(
        f"{source}: {sizes['clips']} clips of {found['frames']:.1f} frames on average, {sizes['frame_size']} pixels, "
        f"{sizes['encoder']}, width {sizes['width']}; torch {machine['torch']} on {machine['device']}, "
        f"{machine['threads']} threads, float32"
    )
    for stage, result in found["stages"].items():
        print(f"\nstage {stage}, a training step (forward and backward)\n{HEADS}")
        for name, row in result["rows"].items():
            kept, encoder, peak = (row[k] / 2**20 for k in ("activation_bytes", "encoder_bytes", "peak_bytes"))
            print(
                f"{name:<10}{row['frames_read']:>12.1f}{row['tokens']:>8.1f}{row['ratio']:>9.3f}{kept:>11.1f}"
                f"{kept - encoder:>15.1f}{peak:>9.1f}{row['step_ms']:>9.0f}{row['cpu_ms']:>9.0f}"
            )
        if result["ratios"] is not None:
            ratios = result["ratios"]
            print(
                f"segment over maxpool: tokens {ratios['tokens']:.2f}, frames read {ratios['frames_read']:.2f}, kept "
                f"{ratios['activation_bytes']:.2f}, peak {ratios['peak_bytes']:.2f}, ms {ratios['step_ms']:.2f}, "
                f"CPU ms {ratios['cpu_ms']:.2f}"
            )

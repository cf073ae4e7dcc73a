"""``slt-zoo bench data``: how fast are data read here, and is that fast enough for a model? Routes to other benches."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from slt_zoo.cli.corpora import one_or_more_places, open_corpus
from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError

if TYPE_CHECKING:
    from slt_zoo.data.base import SLTDataModule

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0, or with ``--check`` 1 where a bound is missed or could not be measured."""
    if argv[1:2] == ["tokens"]:
        from slt_zoo.cli import bench_tokens

        return bench_tokens.main(argv[1:])
    if argv[1:2] == ["ablation"]:
        from slt_zoo.cli import bench_ablation

        return bench_ablation.main(argv[1:])
    options = _parse(argv[1:])
    if options.what != "data":
        raise ConfigError(f"{options.what} comes before its options", todo=f"slt-zoo bench {options.what} --help")
    if (options.corpus is None) != (options.root is None):
        raise ConfigError("--corpus and --root belong together", found="only one of them")
    if options.corpus is None and (options.poses or options.features or options.set or options.modality):
        raise ConfigError("--poses, --features, --set and --modality are of a corpus", todo="name it: --corpus, --root")
    corpus = None
    if options.corpus is not None:
        media = {"poses": options.poses, "features": options.features}
        corpus = partial(_whole_corpus, options.corpus, options.root, options.set, **media)
    from slt_zoo.analysis.data_speed import Sizes, bench_data

    found = bench_data(
        options.seconds,
        options.step_ms,
        sizes=Sizes(options.clips, tuple(options.frame_size), options.samples),
        corpus=corpus,
        modality=options.modality,
        tell=lambda text: print(f"... {text}", file=sys.stderr),
    )
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found)
    return 1 if options.check and not all(target["met"] for target in found["targets"]) else 0


def _whole_corpus(name: str, root: str, words: Sequence[str], **media: Any) -> SLTDataModule:
    """The corpus, all of whose named places are there: another kind of media would be measured instead."""
    data = open_corpus(name, root, words, **media)
    for kind in ("features", "pose", "frames"):
        if (lacking := data.not_there(kind)) is not None:
            raise ConfigError(lacking, todo="correct the path")
    return data


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo bench",
        description="Measure how fast data are read, in ratios of one run: JPEG folders against the common pipeline "
        "(Pillow, an image at a time), a feature store against one .npy a sample, two workers against one, memory over "
        "five epochs, and how long a model would wait. On simulated data, or with --corpus on your own. Close other "
        "programs first. Exit status: 0; with --check 1 where a bound of the project is missed or not measured.",
    )
    parser.add_argument(
        "what", choices=["data", "tokens", "ablation"], help="the others: `slt-zoo bench tokens --help`"
    )
    parser.add_argument("--corpus", metavar="NAME", help="yours instead of simulated data (`slt-zoo list corpora`)")
    parser.add_argument("--root", metavar="DIR", help="as data.root")
    parser.add_argument("--poses", metavar="DIR", help="as data.poses")
    parser.add_argument("--features", type=one_or_more_places, metavar="PLACE", help="as data.features")
    parser.add_argument("--set", nargs="+", metavar="NAME=VALUE", default=[], help="other arguments of the corpus")
    parser.add_argument(
        "--modality", choices=["frames", "features", "pose"], help="what is read of the corpus (the first that it has)"
    )
    parser.add_argument("--seconds", type=_positive, default=60.0, help="that timing may take, about (%(default)g)")
    parser.add_argument("--step-ms", type=_positive, default=200.0, help="a training step of your model (%(default)g)")
    parser.add_argument("--clips", type=_count, default=24, help="simulated clips of JPEG (%(default)s)")
    parser.add_argument(
        "--frame-size", type=_count, nargs=2, default=(512, 512), metavar=("W", "H"), help="of them (512 512)"
    )
    parser.add_argument("--samples", type=_count, default=2000, help="simulated samples of features (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound is missed")
    return parser.parse_args(words)


def _positive(word: str) -> float:
    value = float(word)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{word} is not above 0")
    return value


def _count(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{word} is not at least 1")
    return value


def _show(found: dict[str, Any]) -> None:
    machine = found["machine"]
    source = "simulated data" if found["simulated"] else f"{found['corpus']} in {found['root']}, {found['modality']}"
    print(f"{source}; {machine['cores']} cores, torch {machine['torch']}, Pillow {machine['pillow']}")
    if (machine["load"] or 0) > 0.5:
        print(f"other programs are running (load {machine['load']:.1f}): rates, and the gain of 2 workers, are too low")
    if "frames" in found:
        _show_frames(found["frames"])
    if "features" in found:
        _show_features(found["features"])
    workers = found["workers"]
    for count in ("1", "2"):
        print(f"{_rates(f'{count} worker' + 's' * (count != '1'), workers[count])} of batches")
    print(f"  2 workers against 1: {workers['ratio']:.2f}x")
    memory, waiting = found["memory"], found["waiting"]
    if memory["mib"] is None:
        print(f"memory: not measured, {memory['why']}")
    else:
        steps = " ".join(f"{mib:.0f}" for mib in memory["mib"])
        print(f"memory of all processes, MiB, an epoch each: {steps}; growth {memory['growth']:+.1%}")
    print(
        f"a model of {waiting['step_ms']:g} ms a step waits {waiting['share']:.0%} of the time "
        f"({waiting['workers']} workers, batches of 2)"
    )
    for target in found["targets"]:
        state = {True: "met", False: "missed", None: "not measured"}[target["met"]]
        value = "-" if target["value"] is None else f"{target['value']:.4g}"
        print(f"{state:>12}: {target['name']}: {value} ({target['direction']} {target['bound']:g})")


def _show_frames(frames: dict[str, Any]) -> None:
    print(
        f"{frames['clips']} clips, {frames['frames']} frames of {frames['bytes_per_frame'] / 1000:.0f} kB, one thread"
    )
    for name, change in frames["changes"].items():
        print(f"  {frames['work']} {name}:")
        for pipeline, rates in change["pipelines"].items():
            print(_rates(f"  {pipeline}", rates))
        print(
            f"    {change['ratio']:.2f}x the common pipeline ({change['cpu_ratio']:.2f}x in processor time; "
            f"{change['ratio_normalised_here']:.2f}x if this processor also normalised)"
        )


def _show_features(features: dict[str, Any]) -> None:
    print(f"{features['samples']} samples of features, {features['mib']:.0f} MiB, one thread")
    for name, title in (("open", "store, as a loader reads"), ("store", "store, opened"), ("arrays", "files, listed")):
        print(_rates(title, features[name]))
    print(
        f"  the store is {features['ratio']:.2f}x as fast as one .npy a sample; as a loader reads it, "
        f"{features['open']['samples_per_cpu_s']:.0f} samples a second of processor time"
    )


def _rates(title: str, row: dict[str, Any]) -> str:
    return (
        f"  {title:<26}{row['samples_per_s']:>10.1f} samples/s {row['frames_per_s']:>10.0f} frames/s "
        f"{row['mib_per_s']:>8.1f} MiB/s"
    )

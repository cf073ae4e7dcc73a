"""``slt-zoo segment``: sign boundaries of a corpus, a file a sample."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slt_zoo.cli.corpora import name_corpus, open_corpus
from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from slt_zoo.data.base import SLTDataModule
    from slt_zoo.segmentation.segmentors import Segmentor
    from slt_zoo.segmentation.writing import Written

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Label a corpus, and say how the labels are used."""
    options = _parse(argv[1:])
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from slt_zoo.cli.training import explained, quiet_tips
    from slt_zoo.segmentation.writing import write_labels
    from slt_zoo.types import as_split

    with quiet_tips(), explained():
        splits = [as_split(name) for name in options.splits]
        data = open_corpus(
            options.corpus, options.root, options.set, poses=options.poses, frames=options.frames, segments=options.true
        )
        segmentor = open_segmentor(options.segmentor, data, options.device)
        folder = _folder(options, data, segmentor)
        print(f"segmentor: {segmentor.made_by.segmentor} {dict(segmentor.made_by.settings) or ''}".rstrip())
        if segmentor.made_by.weights:
            print(f"weights: SHA-256 {segmentor.made_by.weights}")
        print(f"folder: {folder}")
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        try:
            with Progress(*columns, console=Console(), transient=True, disable=not options.progress) as bar:
                task = bar.add_task("samples", total=None)
                found = write_labels(
                    data,
                    segmentor,
                    folder,
                    splits=splits,
                    overwrite=options.overwrite,
                    on_bad_sample=options.on_bad_sample,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
        except KeyboardInterrupt:
            print(f"stopped: what is finished is in {folder}; the same command goes on")
            raise
        _summarise(found, data, segmentor, options.out is None)
    return 0


def open_segmentor(word: str, data: SLTDataModule, device: str = "cpu") -> Segmentor:
    """The segmentor of a word.

    Args:
        word: ``fixed:<frames>``, ``oracle``, ``slp`` or ``slp:<folder>``, or a checkpoint of `SignSegmentor` (a file, a
            run folder, or a folder of ``save_pretrained``).
        data: the corpus.
        device: where networks run.

    Raises:
        UnknownNameError: neither a word nor a path.
        ConfigError: the segmentor is not for this corpus, or its package is missing.
        CheckpointError: it cannot be read.
    """
    from slt_zoo.segmentation.segmentors import FixedLengthSegmentor, OracleSegmentor

    name, _, value = word.partition(":")
    if name == "fixed":
        if not value.isdigit():
            raise ConfigError("fixed needs a number of frames", found=word, todo="--segmentor fixed:8")
        return FixedLengthSegmentor(int(value))
    if word == "oracle":
        return OracleSegmentor(data)
    if name == "slp" and not Path(word).exists():
        from slt_zoo.segmentation.slp import SLPSegmentor

        return SLPSegmentor(value or None, device)
    if not Path(word).expanduser().exists():
        known = ["fixed:<frames>", "oracle", "slp", "slp:<folder>", "<checkpoint>"]
        raise UnknownNameError("segmentor", word, known, todo="a path must be there")
    return _of_checkpoint(Path(word).expanduser(), data, device)


def _of_checkpoint(path: Path, data: SLTDataModule, device: str) -> Segmentor:
    import slt_zoo
    from slt_zoo.errors import CheckpointClassError
    from slt_zoo.loading import sha256_of, weights_of
    from slt_zoo.segmentation.segmentors import ModelSegmentor

    if path.is_dir() and list(path.glob("*.ckpt")):
        path = weights_of(path)
    model = slt_zoo.load(path)
    if not isinstance(model, slt_zoo.SignSegmentor):
        raise CheckpointClassError(
            "the checkpoint's model labels no frames", where=path, expected="SignSegmentor", found=type(model).__name__
        )
    learnt, here = model.facts.fps, data.fps
    if learnt is not None and here is not None and learnt != here:
        print(f"the model has learnt at {learnt:g} frames a second, and {data.corpus} has {here:g}: expect errors")
    if model.facts.simulated and not data.simulated:
        print(
            "the model was trained on simulated signing, which is no sign language: do not trust what it says of this"
        )
    settings = {**model.decoding_settings(), "trained_on": model.facts.corpus}
    settings |= {"trained_on_simulated": model.facts.simulated}
    return ModelSegmentor(model.to(device), type(model).__name__, sha256_of(path), settings)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo segment",
        description="Write per-frame sign boundaries of a corpus, which data.segments takes: an .npy a sample, int8 of "
        "0 outside, 1 inside, 2 begin, a number a video frame. Stopped at any moment and started again, it does what "
        "is missing. Nothing is downloaded.",
    )
    name_corpus(parser, "poses", "frames")
    parser.add_argument(
        "--segmentor",
        required=True,
        metavar="WORD",
        help="fixed:8 (signs of 8 frames, whatever is signed), oracle (true boundaries of a simulated corpus), slp or "
        "slp:FOLDER (the package of sign-language-processing), or a checkpoint of SignSegmentor",
    )
    parser.add_argument("--true", metavar="NAME", default="labels", help="of the oracle's boundaries (%(default)s)")
    parser.add_argument("--id", metavar="NAME", help="name of the folder (made of the segmentor)")
    parser.add_argument("--out", metavar="DIR", help="the folder itself (<corpus folder>/segments/<id>)")
    parser.add_argument("--overwrite", action="store_true", help="replace the boundaries that are there")
    parser.add_argument("--device", default="cpu", help="where networks run (%(default)s)")
    parser.add_argument(
        "--on-bad-sample",
        choices=("error", "skip"),
        default="error",
        help="when samples cannot be read: leave the folder unfinished, or finish it without them (%(default)s)",
    )
    parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=True, help="show a bar")
    return parser.parse_args(words)


def _folder(options: argparse.Namespace, data: SLTDataModule, segmentor: Segmentor) -> Path:
    if options.out is not None:
        return Path(options.out).expanduser()
    if options.id is not None and (Path(options.id).name != options.id or options.id in (".", "..")):
        raise ConfigError("--id is a name, not a path", found=options.id, todo="name another folder with --out")
    made = segmentor.made_by
    parts = [made.segmentor, *(str(v) for v in made.settings.values() if made.segmentor == "fixed"), made.weights[:8]]
    return data.corpus_folder() / "segments" / (options.id or "-".join(part for part in parts if part))


def _summarise(found: Written, data: SLTDataModule, segmentor: Segmentor, inside: bool) -> None:
    print(f"labelled {found.samples} samples; {found.there} were there")
    for sample_id, why in list(found.unreadable.items())[:5]:
        print(f"left out {sample_id}: {why}")
    if len(found.unreadable) > 5:
        print(f"... and {len(found.unreadable) - 5} more; the manifest names them")
    print(f"to use it: --data.segments={found.folder.name if inside else found.folder}")
    if segmentor.made_by.segmentor == "oracle":
        print("These are the true boundaries of simulated signing: no segmentor of real signing knows them.")
    if data.simulated:
        print("Simulated signing is no sign language; no score on it is a translation result.")

"""``slt-zoo extract``: features, poses or resized frames of a corpus, into a store."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slt_zoo.cli.corpora import name_corpus, open_corpus
from slt_zoo.cli.messages import Words
from slt_zoo.errors import ConfigError

if TYPE_CHECKING:
    from slt_zoo.data.base import SLTDataModule
    from slt_zoo.extraction import Plan, Summary

__all__ = ["main"]

_ARGUMENT = {"features": "features", "pose": "poses", "frames": "frames"}


def main(argv: Sequence[str]) -> int:
    """Extract, and say what was made and how it is used."""
    options = _parse(argv[1:])
    from slt_zoo.cli.training import explained, quiet_tips
    from slt_zoo.extraction import ExtractOptions, extract, first_process, make_plan
    from slt_zoo.types import as_split

    with quiet_tips(), explained():
        data = open_corpus(options.corpus, options.root, options.set, poses=options.poses, frames=options.frames)
        splits = [as_split(name) for name in options.splits]
        taken: dict[str, Any] = {name: getattr(options, name, None) for name in ExtractOptions.__dataclass_fields__}
        read = data.stores.get("pose" if options.encoder == "pose" else "frames")
        taken |= {name: None if taken[name] is None else tuple(taken[name]) for name in ("frame_size", "crop")}
        plan = make_plan(
            ExtractOptions(**taken),
            _example(data, splits) if options.encoder == "pose" else None,
            None if read is None else read.manifest.made_by,
        )
        folder = _folder(options, data, plan)
        if first_process():
            _tell(plan, folder)
        if options.dry_run:
            return 0
        try:
            found = extract(
                data,
                plan,
                folder,
                splits=splits,
                overwrite=options.overwrite,
                on_bad_sample=options.on_bad_sample,
                save_every=options.save_every,
                num_workers=options.num_workers,
                **_trainer(options, folder),
            )
        except (KeyboardInterrupt, SystemExit):  # Lightning makes the first into the second
            if first_process():
                print(f"stopped: what is finished is in {folder}; the same command goes on")
            raise
        if first_process():
            if options.shards:
                from slt_zoo.data.stores.stream_writer import write_stream

                write_stream(found.folder)
            _summarise(found, data, plan, options.shards)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo extract",
        description="Extract features, poses or resized frames of a corpus into a store, which data.features, "
        "data.poses and data.frames take. Stopped at any moment and started again, it does what is missing. Nothing "
        "is downloaded unless --pretrained asks for it.",
    )
    name_corpus(parser, "poses", "frames")
    what = parser.add_argument_group("what is extracted")
    what.add_argument(
        "--encoder",
        required=True,
        metavar="WORD",
        help="timm:<name> (an image encoder), s3d (video, stride 4), pose (pose files to one form), frames (as JPEG)",
    )
    what.add_argument("--frame-size", nargs="+", type=int, metavar="N", help="height and width, or the shorter side")
    what.add_argument("--crop", nargs="+", type=int, metavar="N", help="then the centre: height and width, or a side")
    what.add_argument("--stride", type=int, default=1, metavar="N", help="take one of N frames (%(default)s)")
    what.add_argument("--dtype", help="float16, bfloat16 or float32 (features float16, poses float32)")
    what.add_argument("--quality", type=int, default=90, help="of JPEG (%(default)s)")
    what.add_argument("--points", metavar="NAME", help="named choice of points (all of the files)")
    weights = parser.add_argument_group("weights of an encoder: one of these")
    weights.add_argument("--weights", metavar="FILE", help="of yours; names are strict and nothing in it is run")
    weights.add_argument("--pretrained", action="store_true", help="download those that timm or torchvision offer")
    weights.add_argument("--seed", type=int, help="random weights, fixed by a number")
    where = parser.add_argument_group("where")
    where.add_argument("--id", metavar="NAME", help="name of the folder (made of encoder and settings)")
    where.add_argument("--out", metavar="DIR", help="the folder itself (<corpus folder>/features/<id>)")
    where.add_argument(
        "--shards",
        action="store_true",
        help="also write the store as shards of litdata, in its folder 'stream': for object storage (extra 'stream')",
    )
    where.add_argument("--overwrite", action="store_true", help="replace the store that is there")
    _add_running(parser)
    return parser.parse_args(words)


def _add_running(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument("--devices", default="auto", help="how many, or which (%(default)s)")
    how.add_argument("--accelerator", default="auto", help="cpu, gpu, ... (%(default)s)")
    how.add_argument("--precision", default="32-true", help="as Lightning's; recorded (%(default)s)")
    how.add_argument("--strategy", default="auto", help="as Lightning's (%(default)s)")
    how.add_argument("--num-nodes", type=int, default=1, metavar="N", help="machines (%(default)s)")
    how.add_argument("--num-workers", type=int, default=0, metavar="N", help="that read media, each device (0)")
    how.add_argument("--max-frames", type=int, metavar="N", help="frames of one pass (64; s3d 128)")
    how.add_argument("--save-every", type=float, default=60, metavar="SECONDS", help="what a kill costs (%(default)s)")
    how.add_argument(
        "--on-bad-sample",
        choices=("error", "skip"),
        default="error",
        help="when samples cannot be read: leave the store unfinished, or finish it without them (%(default)s)",
    )
    how.add_argument("--progress", action=argparse.BooleanOptionalAction, default=True, help="show a bar")
    how.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")


def _example(data: SLTDataModule, splits: Sequence[Any]) -> Any:
    """A sample whose poses are there."""
    return next((s for split in splits for s in data.manifest(split) if "pose" in s.media), None)


def _folder(options: argparse.Namespace, data: SLTDataModule, plan: Plan) -> Path:
    if options.out is not None:
        folder = Path(options.out).expanduser()
        inside = next((p for p in (folder, *folder.parents) if p.exists() or p.is_symlink()), folder)
        if not inside.is_dir():
            raise ConfigError("the folder of the store cannot be made", where=folder, found=f"{inside} is no folder")
        return folder
    if options.id is not None and (Path(options.id).name != options.id or options.id in (".", "..")):
        raise ConfigError("--id is a name, not a path", found=options.id, todo="name another folder with --out")
    return data.corpus_folder() / "features" / (options.id or plan.made.id)


def _trainer(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from lightning.pytorch.callbacks import RichProgressBar

    devices = int(options.devices) if options.devices.lstrip("-").isdigit() else options.devices
    return {
        "devices": devices,
        "accelerator": options.accelerator,
        "strategy": options.strategy,
        "num_nodes": options.num_nodes,
        "default_root_dir": str(folder),
        "enable_progress_bar": options.progress,
        "callbacks": [RichProgressBar()] if options.progress else [],
    }


def _tell(plan: Plan, folder: Path) -> None:
    made = plan.made
    print(f"{made.kind} by {made.extractor}: window {made.window}, stride {made.stride}, {made.dtype}")
    print(f"settings: {json.dumps(dict(made.settings))}")
    if made.weights:
        print(f"weights: SHA-256 {made.weights}")
    print(f"id: {made.id}\nfolder: {folder}")


def _summarise(found: Summary, data: SLTDataModule, plan: Plan, shards: bool) -> None:
    from slt_zoo.data.stores import open_store

    manifest = open_store(found.folder).manifest
    size = sum(shard.size for shard in manifest.shards) / 2**20
    frames = sum(sum(shard.frames) for shard in manifest.shards)
    rate = f" ({found.samples / found.seconds:.1f} a second)" if found.samples else ""
    print(f"extracted {found.samples} samples in {found.seconds:.1f} s{rate}; {found.there} were there")
    for sample_id, why in list(found.unreadable.items())[:5]:
        print(f"left out {sample_id}: {why.splitlines()[0]}")
    if len(found.unreadable) > 5:
        print(f"... and {len(found.unreadable) - 5} more; the manifest names them")
    samples = sum(len(shard.ids) for shard in manifest.shards)
    print(f"the store: {samples} samples, {frames} frames, {len(manifest.shards)} shards, {size:.1f} MiB")
    inside = found.folder.parent == data.corpus_folder() / "features"
    print(f"to use it: --data.{_ARGUMENT[plan.made.kind]}={found.folder.name if inside else found.folder}")
    if shards:
        stream = found.folder / "stream"
        chunks = len(open_store(stream).manifest.shards)
        print(f"to stream it: copy {stream} ({chunks} files) to object storage, and pass its address instead")
    if manifest.simulated:
        print("Simulated signing is no sign language; no score on it is a translation result.")

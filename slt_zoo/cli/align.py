"""``slt-zoo align``: how the visual tokens of SAGE's first stage and the tokens of the texts are matched."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slt_zoo.cli.corpora import name_corpus, open_corpus
from slt_zoo.cli.messages import Words
from slt_zoo.errors import CheckpointClassError, ConfigError, nearest

if TYPE_CHECKING:
    from slt_zoo.analysis.similarity import SplitAlignment
    from slt_zoo.models.sage import SAGEPretraining

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Compare, print a summary, write numbers and figures; 0."""
    options = _parse(argv[1:])
    if options.threshold < 0 or options.figures < 0 or options.batch_size < 1:
        raise ConfigError(
            "--threshold and --figures are at least 0, --batch-size at least 1",
            found=f"{options.threshold:g}, {options.figures}, {options.batch_size}",
        )
    from slt_zoo.analysis.figures import alignment_figure, to_svg
    from slt_zoo.analysis.similarity import align_split, token_similarity
    from slt_zoo.cli.training import quiet_tips
    from slt_zoo.files import write_atomically
    from slt_zoo.types import as_split

    with quiet_tips():
        split = as_split(options.split)
        model, folder = _open_model(Path(options.checkpoint).expanduser())
        media = {name: getattr(options, name) for name in ("poses", "features", "frames", "segments")}
        data = open_corpus(options.corpus, options.root, options.set, eval_batch_size=options.batch_size, **media)
        chosen = _chosen(options, data.manifest(split).ids)
        found = align_split(model.to(options.device), data, split, level=options.level, words=not options.subwords)
        out = folder / f"alignment-{split}" if options.out is None else Path(options.out).expanduser()
        numbers = found.to_dict(options.threshold)
        figures = {}
        for name in chosen:
            one = token_similarity(model, data, name, split, level=found.level, words=not options.subwords)
            path = out / f"{name}.svg"
            write_atomically(path, to_svg(alignment_figure(one, threshold=options.threshold)))
            figures[name] = {"file": path.name if path.parent == out else str(path.relative_to(out))}
            figures[name]["description"] = one.describe(options.threshold)
        numbers["figures"] = figures
        write_atomically(out / "alignment.json", json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
    _show(found, numbers)
    print(f"numbers: {out / 'alignment.json'}; figures of {len(chosen)} samples beside it")
    return 0


def _open_model(path: Path) -> tuple[SAGEPretraining, Path]:
    """The model, and the folder that its checkpoint lies in."""
    import slt_zoo
    from slt_zoo.loading import weights_of

    if path.is_dir() and not (path / "model.safetensors").is_file():
        path = weights_of(path)
    model = slt_zoo.load(path)
    if not isinstance(model, slt_zoo.SAGEPretraining):
        raise CheckpointClassError(
            "visual tokens are compared with text by the first stage of SAGE",
            where=path,
            expected="SAGEPretraining",
            found=type(model).__name__,
            todo="take the run of the phase `pretrain`",
        )
    return model, path if path.is_dir() else path.parent


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Words(
        prog="slt-zoo align",
        description="How the visual tokens of SAGE's first stage and the tokens of texts are matched, over a split: "
        "cosines, entropies, order, text that nothing matches, retrieval; and the paper's figure of some samples. "
        "Matrices are shown in words, statistics too, unless --subwords.",
    )
    parser.add_argument(
        "--checkpoint", required=True, metavar="PATH", help="of SAGEPretraining: a file or a run folder"
    )
    name_corpus(parser, "poses", "features", "frames", splits=None)
    parser.add_argument("--segments", metavar="NAME", help="as data.segments: labels, fixed-8, ...")
    parser.add_argument("--split", default="test", help="(%(default)s)")
    parser.add_argument(
        "--level", choices=["embedding", "hidden"], help="what is compared (embedding, if it was trained)"
    )
    parser.add_argument("--subwords", action="store_true", help="leave words in their pieces")
    parser.add_argument("--threshold", type=float, default=0.6, help="of weight below which text is unmatched (0.6)")
    parser.add_argument("--ids", nargs="+", metavar="ID", help="samples to draw")
    parser.add_argument("--figures", type=int, default=5, help="so many, evenly spaced by id (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="samples encoded at a time (%(default)s)")
    parser.add_argument("--device", default="cpu", help="(%(default)s)")
    parser.add_argument("--out", metavar="DIR", help="(alignment-<split> beside the checkpoint)")
    return parser.parse_args(words)


def _chosen(options: argparse.Namespace, ids: Sequence[str]) -> list[str]:
    """What is drawn; told before anything is computed where there is no such sample."""
    if options.ids is None:
        count = min(options.figures, len(ids))
        return [sorted(ids)[i * (len(ids) - 1) // max(count - 1, 1)] for i in range(count)]
    for name in options.ids:
        if name not in ids:
            near = nearest(name, ids)
            raise ConfigError(
                f"{options.corpus} {options.split} has no sample {name!r}",
                where="--ids",
                todo=f"did you mean {' or '.join(near)}?" if near else None,
            )
    return list(options.ids)


def _show(found: SplitAlignment, numbers: dict[str, Any]) -> None:
    stats, retrieval = numbers["stats"], numbers["retrieval"]
    print(f"{found.corpus} {found.split}, {numbers['samples']} samples, {found.level} level, {numbers['columns']}")
    order = "none" if stats["order"] is None else f"{stats['order']:.3f}"
    print(
        f"  highest cosine, mean: of a visual token {stats['video_max']:.3f}, of a text token {stats['text_max']:.3f}"
    )
    print(f"  entropy in nats: over the text {stats['video_entropy']:.3f}, over the video {stats['text_entropy']:.3f}")
    print(f"  order of the two, Kendall's tau: {order} (of {numbers['samples_with_order']} samples that have one)")
    print(f"  text that nothing matches: {numbers['unmatched_share']:.1%} (weight below {numbers['threshold']:g})")
    for way, title in (("v2t", "texts of videos"), ("t2v", "videos of texts")):
        ranks = ", ".join(f"R@{depth} {retrieval[f'{way}_r{depth}']:.3f}" for depth in (1, 5, 10))
        print(f"  {title}, among all: {ranks}, median rank {retrieval[f'{way}_median_rank']:g}")
    if found.simulated:
        print("Simulated signing is no sign language; no score on it is a translation result.")

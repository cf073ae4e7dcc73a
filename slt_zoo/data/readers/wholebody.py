"""COCO-WholeBody poses in pickles: a file a video (Uni-Sign) or a file a corpus (SLRT)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.ids import bare_id
from slt_zoo.data.pose_layouts import LAYOUTS
from slt_zoo.data.readers.persons import follow_person
from slt_zoo.data.readers.plain_pickle import as_array, load_pickle, one_of
from slt_zoo.data.readers.pose import PoseArrays, check_layout
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

__all__ = ["load_wholebody", "wholebody_ids"]

_POINTS = LAYOUTS["wholebody133"]
_EXPECTED = (
    "{'keypoints': T arrays (persons, 133, 2), 'scores': T arrays (persons, 133)} of a video, or sample names to "
    "{'keypoints': (T, 133, 3)}"
)


def load_wholebody(path: Path, media: Media, where: str) -> PoseArrays:
    """133 points of the image plane, two dimensions and a confidence; the pickle runs nothing.

    ``{'keypoints': T arrays (persons, 133, 2), 'scores': T arrays (persons, 133)}`` is one video: RTMPose as Uni-Sign
    stores it, x divided by the width and y by the height, so that a square is none any more; where ``start`` and
    ``end`` are there, only these frames belong to the sample. Uni-Sign takes the first person, this reader the one
    seen best (`follow_person`). A name to ``{'keypoints': (T, 133, 3)}`` is a corpus: HRNet as SLRT stores it, in
    pixels with the confidence as third number; ``media.item`` is the name, without a split in front.

    Raises:
        MediaError: a pickle that asks for anything but arrays, of another structure, or without the sample.
    """
    check_layout(_POINTS, media.layout, where)
    content = load_pickle(path, _arrange, where)
    entry = content if "scores" in content and "keypoints" in content else one_of(content, media.item, where)
    if "scores" in entry:
        coords, conf = _video(entry, where)
    else:
        points = as_array(entry["keypoints"], where)
        if points.ndim != 3 or points.shape[1:] != (133, 3):
            raise MediaError(
                "not COCO-WholeBody", where=where, expected="(T, 133, 3)", found=f"shape {tuple(points.shape)}"
            )
        coords, conf = points[..., :2], points[..., 2]
    return PoseArrays(coords[:, None], conf[:, None], _POINTS)


def wholebody_ids(path: Path) -> list[str]:
    """Names of the samples in a pickle of a corpus, without a split in front.

    Raises:
        MediaError: as `load_wholebody`; or the poses of one video.
    """
    where = repr(str(path))
    content = load_pickle(path, _arrange, where)
    if "scores" in content and "keypoints" in content:
        raise MediaError(
            "poses of one video, not of many samples", where=where, todo="pass the folder with a file a sample"
        )
    return list(content)


def _arrange(content: Any) -> dict[str, Any]:
    if isinstance(content, dict) and "keypoints" in content and "scores" in content:
        return content
    if not isinstance(content, dict) or not content:
        raise MediaError("not a pickle of poses", expected=_EXPECTED, found=f"a {type(content).__name__}")
    wrong = [k for k, v in content.items() if not isinstance(v, dict) or "keypoints" not in v]
    if wrong:
        raise MediaError("not a pickle of poses", expected=_EXPECTED, found=f"an entry {wrong[0]!r} without keypoints")
    return {bare_id(str(k))[0]: v for k, v in content.items()}


def _video(entry: dict[str, Any], where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    keypoints, scores = (
        v if isinstance(v, list) else np.atleast_1d(as_array(v, where)) for v in (entry["keypoints"], entry["scores"])
    )
    if len(keypoints) != len(scores) or len(keypoints) == 0:
        raise MediaError(
            "keypoints and scores are not of as many frames", where=where, found=f"{len(keypoints)} and {len(scores)}"
        )
    first, stop = entry.get("start", 0), entry.get("end", len(keypoints))
    if not (isinstance(first, int) and isinstance(stop, int) and 0 <= first < stop <= len(keypoints)):
        raise MediaError(
            "start and end are no frames of the file",
            where=where,
            expected=f"0 <= start < end <= {len(keypoints)}",
            found=f"{first!r} and {stop!r}",
        )
    frames = [_frame(keypoints[t], scores[t], t, where) for t in range(first, stop)]
    return follow_person(frames, 133, where)


def _frame(keypoints: Any, scores: Any, t: int, where: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    points, conf = as_array(keypoints, where), as_array(scores, where)
    if points.size == 0 and conf.size == 0:
        return np.zeros((0, 133, 2), np.float32), np.zeros((0, 133), np.float32)
    if points.ndim != 3 or points.shape[1:] != (133, 2) or conf.shape != points.shape[:2]:
        raise MediaError(
            "not COCO-WholeBody",
            where=f"{where}, frame {t}",
            expected="keypoints (persons, 133, 2) and scores (persons, 133)",
            found=f"shapes {tuple(points.shape)} and {tuple(conf.shape)}",
        )
    return points.astype(np.float32), conf.astype(np.float32)

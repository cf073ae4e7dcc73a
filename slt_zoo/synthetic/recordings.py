"""A lexicon of real recordings: signs are joined out of ``.pose`` files instead of being made up.

The folder holds ``index.csv`` with the columns ``path, spoken_language, signed_language, start, end, words, glosses,
priority`` (as in the lexicons of spoken-to-signed translation); ``start`` and ``end`` are milliseconds of the
recording, 0 or a time past its end: to its end. Of several recordings of a gloss the one with the highest priority is
used. Body and hands are kept, with the points that all recordings share; the face mesh and the world coordinates are
left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slt_zoo.data.pose_layouts import mirror_points
from slt_zoo.errors import AnnotationError, ConfigError, MediaError, MissingMediaError, first_few
from slt_zoo.synthetic.performer import Motion
from slt_zoo.synthetic.signers import Signer
from slt_zoo.synthetic.skeleton import COMPONENTS
from slt_zoo.synthetic.variation import Variation

__all__ = ["Lexicon", "Recording", "RecordingPerformer", "read_lexicon"]

Array = NDArray[np.float64]

_COLUMNS = ("path", "spoken_language", "signed_language", "start", "end", "words", "glosses", "priority")
_RAISED = 0.5  # a hand within this part of its way up, measured from the top, is signing
_SPELLING_TEMPO = 2.0  # letters are recorded one by one, far slower than they follow each other in a word
_WAY_SECONDS, _SECONDS_PER_WIDTH = 0.05, 0.075  # from one sign to the next: at least, and for a shoulder width
_TAKE = 0.4  # real signs keep their form: takes differ by this part of what takes of made-up signs do


@dataclass(frozen=True)
class Recording:
    """One recorded sign in body coordinates (see `Motion`).

    Attributes:
        gloss: its name, as in the index.
        xyz: ``(T, K, 3)``.
        conf: ``(T, K)``.
        fps: frames a second.
        first, last: the frames between which a hand is raised, both included.
    """

    gloss: str
    xyz: Array
    conf: Array
    fps: float
    first: int
    last: int


@dataclass(frozen=True)
class Lexicon:
    """Recordings by lower-case gloss.

    Attributes:
        folder: where they lie.
        language: of the words, BCP 47.
        points: K names, those that all recordings have.
        recordings: by lower-case gloss.
    """

    folder: Path
    language: str
    points: tuple[str, ...]
    recordings: dict[str, Recording]

    @property
    def spells(self) -> bool:
        """Whether all entries are single letters, so that texts are spelled."""
        return all(len(gloss) == 1 for gloss in self.recordings)

    def letters(self, text: str) -> tuple[str, ...]:
        """The glosses that spell a text: its letters without the spaces, capital where the letter has one."""
        return tuple(c.upper() if len(c.upper()) == 1 else c for c in "".join(text.split()))

    def require(self, glosses: Iterable[str]) -> None:
        """Check that every gloss was recorded.

        Raises:
            ConfigError: with those that were not.
        """
        missing = sorted({g for g in glosses if g.lower() not in self.recordings})
        if missing:
            kind = "letters" if self.spells else "glosses"
            raise ConfigError(
                f"the lexicon has no recording of {len(missing)} {kind} that the sentences need",
                where=self.folder / "index.csv",
                expected=f"a row for each of {first_few(missing, 12)}",
                found=f"{len(self.recordings)} {kind}: {first_few(sorted(self.recordings), 12)}",
                todo="give `annotations` whose sentences use recorded signs only, or record the missing ones",
            )


def read_lexicon(folder: str | Path) -> Lexicon:
    """Read ``index.csv`` and every recording that it names.

    Raises:
        MissingMediaError: the index, or recordings that it names, are not there.
        AnnotationError: the index has other columns, another number, or no row.
        MediaError: a recording cannot be read, or has no shoulders to measure it by.
    """
    folder = Path(folder).expanduser()
    index = folder / "index.csv"
    if not index.is_file():
        raise MissingMediaError(
            "the lexicon has no index",
            where=index,
            expected=f"a CSV file with the columns {','.join(_COLUMNS)}",
            found="no such folder" if not folder.is_dir() else "no such file",
            todo="give the folder that holds index.csv",
        )
    with index.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise AnnotationError(
                "the lexicon's index has other columns",
                where=index,
                expected=",".join(_COLUMNS),
                found=",".join(reader.fieldnames or ()) or "an empty file",
            )
        rows = sorted(reader, key=lambda row: -_number(row, "priority", index))
    if not rows:
        raise AnnotationError("the lexicon's index has no row", where=index)
    absent = [row["path"] for row in rows if not (folder / row["path"]).is_file()]
    if absent:
        raise MissingMediaError(
            f"{len(absent)} of {len(rows)} recordings of the lexicon are missing",
            where=folder,
            found=f"no file {first_few(absent)}",
            todo="complete the folder, or take these rows out of index.csv",
        )
    chosen = {row["glosses"].strip().lower(): row for row in reversed(rows)}  # the highest priority comes last
    raw = {gloss: _read_pose(folder / row["path"]) for gloss, row in chosen.items()}
    shared = [p for p in next(iter(raw.values())).points if all(p in other.points for other in raw.values())]
    points = tuple(p for part in COMPONENTS.values() for p in shared if p.startswith(f"{part}."))
    recordings = {}
    for gloss, pose in raw.items():
        row = chosen[gloss]
        span = _number(row, "start", index) / 1000, _number(row, "end", index) / 1000
        recordings[gloss] = _normalised(row["glosses"].strip(), pose, points, span, folder / row["path"])
    return Lexicon(folder, rows[0]["spoken_language"], points, recordings)


def _number(row: dict[str, str], column: str, index: Path) -> float:
    try:
        return float(row[column])
    except (TypeError, ValueError):
        raise AnnotationError(
            f"{column} is no number", where=f"{index}, row of {row['path']}", found=repr(row[column])
        ) from None


@dataclass(frozen=True)
class _Pose:
    points: tuple[str, ...]
    xyz: Array
    conf: Array
    fps: float


def _read_pose(path: Path) -> _Pose:
    from pose_format import Pose

    try:
        pose = Pose.read(path.read_bytes())
    except Exception as cause:  # pose_format raises whatever its unpacking stumbles over
        raise MediaError("cannot read a recording of the lexicon", where=path, found=str(cause)) from cause
    names: list[str] = []
    keep: list[int] = []
    place = 0
    for component in pose.header.components:
        part = COMPONENTS.get(component.name)
        if part:
            names += [f"{part}.{p.lower()}" for p in component.points]
            keep += range(place, place + len(component.points))
        place += len(component.points)
    xyz = np.asarray(pose.body.data.data[:, 0, keep], dtype=np.float64)
    conf = np.asarray(pose.body.confidence[:, 0, keep], dtype=np.float64).clip(0, 1)
    if xyz.shape[-1] == 2:
        xyz = np.concatenate([xyz, np.zeros_like(xyz[..., :1])], axis=-1)
    return _Pose(tuple(names), xyz, conf, float(pose.body.fps))


def _normalised(gloss: str, pose: _Pose, points: tuple[str, ...], span: tuple[float, float], path: Path) -> Recording:
    """Cut to ``span`` (seconds), origin between the shoulders, unit their distance."""
    total = len(pose.xyz)
    begin = int(span[0] * pose.fps)
    end = min(total, int(np.ceil(span[1] * pose.fps))) if span[1] > 0 else total
    if end - begin < 2:
        raise MediaError(
            "the part that the lexicon names is empty",
            where=path,
            expected=f"within 0 to {1000 * total / pose.fps:.0f} ms",
            found=f"{1000 * span[0]:.0f} to {1000 * span[1]:.0f} ms",
        )
    choice = [pose.points.index(p) for p in points]
    xyz, conf = pose.xyz[begin:end, choice], pose.conf[begin:end, choice]
    shoulders = [
        points.index(f"body.{side}_shoulder") for side in ("left", "right") if f"body.{side}_shoulder" in points
    ]
    seen = (conf[:, shoulders] > 0).all(axis=1)
    if len(shoulders) < 2 or not seen.any():
        raise MediaError("a recording of the lexicon has no shoulders, by which it is placed and scaled", where=path)
    left, right = xyz[seen][:, shoulders].mean(axis=0)
    unit = float(np.linalg.norm((left - right)[:2]))
    parts = np.array([p.split(".")[0] for p in points])
    for part in set(parts):  # depth is relative within a part, and has another origin in each version of the tools
        own = conf * (parts == part) > 0
        xyz[..., 2] -= np.where(parts == part, np.median(xyz[..., 2][own]) if own.any() else 0.0, 0.0)
    origin = np.array([*((left + right) / 2)[:2], 0.0])
    xyz = np.where(conf[..., None] > 0, (xyz - origin) / unit, 0.0)
    return Recording(gloss, xyz, conf, pose.fps, *_raised(xyz, conf, points))


def _raised(xyz: Array, conf: Array, points: tuple[str, ...]) -> tuple[int, int]:
    """First and last frame in which the higher hand is up."""
    wrists = [k for k, p in enumerate(points) if p.endswith("wrist")]
    height = np.where(conf[:, wrists] > 0, xyz[:, wrists, 1], np.inf).min(axis=1)
    known = np.isfinite(height)
    if not known.any():
        return 0, len(xyz) - 1
    top, bottom = height[known].min(), height[known].max()
    up = np.flatnonzero(height <= top + _RAISED * (bottom - top))
    return int(up[0]), int(up[-1])


@dataclass
class RecordingPerformer:
    """Performs glosses by joining recordings, with smooth ways between them.

    Attributes:
        lexicon: the recordings.
        variation: how much signers and takes differ.
        fps: frames a second.
    """

    lexicon: Lexicon
    variation: Variation
    fps: float

    def __post_init__(self) -> None:
        arms = {"elbow": 0.5, "wrist": 1.0}
        self._follows = np.array(  # how far a point goes along when a hand is moved
            [arms.get(p.split("_")[-1], 0.0) if p.startswith("body.") else 1.0 for p in self.lexicon.points]
        )[:, None]
        right = np.array(["right_" in p for p in self.lexicon.points])
        self._outwards = np.where(right, -1.0, 1.0)[:, None] * (1, 0, 0) + np.array([0.0, 1.0, 1.0])

    @property
    def points(self) -> tuple[str, ...]:
        """Those that the recordings share."""
        return self.lexicon.points

    def perform(self, gloss: Sequence[str], signer: Signer, rng: np.random.Generator) -> Motion:
        """The recordings one after the other: hands go up with the first and down with the last.

        Raises:
            ConfigError: a gloss has no recording.
        """
        self.lexicon.require(gloss)
        xyz: list[Array] = []
        conf: list[Array] = []
        labels: list[NDArray[np.int8]] = []
        for k, name in enumerate(gloss):
            recording = self.lexicon.recordings[name.lower()]
            at = self._frames(recording, signer, k == 0, k == len(gloss) - 1, rng)
            part_xyz, part_conf = _resampled(recording, at)
            part_xyz = self._styled(part_xyz, signer, rng)
            if k:
                way = _way((xyz[-1][-1], conf[-1][-1]), (part_xyz[0], part_conf[0]), self.fps)
                xyz.append(way[0])
                conf.append(way[1])
                labels.append(np.zeros(len(way[0]), dtype=np.int8))
            marks = ((at >= recording.first) & (at <= recording.last)).astype(np.int8)
            marks[int(marks.argmax())] = 2
            xyz.append(part_xyz)
            conf.append(part_conf)
            labels.append(marks)
        body, sure = np.concatenate(xyz), np.concatenate(conf)
        if signer.left_handed:
            other = list(mirror_points(self.lexicon.points))
            body, sure = body[:, other] * (-1, 1, 1), sure[:, other]
        return Motion(self.lexicon.points, body, sure, np.concatenate(labels))

    def _frames(
        self, recording: Recording, signer: Signer, opens: bool, closes: bool, rng: np.random.Generator
    ) -> Array:
        """Which places ``(T,)`` of the recording the frames of the clip show; hands go up and down at full length."""
        step = recording.fps / self.fps * signer.tempo
        spread = float(np.exp(self.variation.take_tempo * np.clip(rng.standard_normal(), -2, 2)))
        sign_step = step * spread * (_SPELLING_TEMPO if self.lexicon.spells else 1.0)
        first, last, end = recording.first, recording.last, len(recording.xyz) - 1
        up = np.arange(0, first, step) if opens else np.zeros(0)
        sign = np.linspace(first, last, max(2, 1 + round((last - first) / sign_step)))
        down = np.arange(last + step, end + 1e-6, step) if closes else np.zeros(0)
        return np.concatenate([up, sign, down])

    def _styled(self, xyz: Array, signer: Signer, rng: np.random.Generator) -> Array:
        """Hands in the signer's own signing space; elbows follow half the way, head and shoulders not at all."""
        take = self.variation.take_location * np.clip(rng.standard_normal(3), -2, 2)
        size = 1 + _TAKE * (signer.space - 1)
        shift = xyz * (size - 1) + _TAKE * (signer.offset + take) * self._outwards
        return np.asarray(xyz + self._follows * shift)


def _resampled(recording: Recording, at: Array) -> tuple[Array, Array]:
    """The recording between its frames: places ``(T, K, 3)`` and confidence; a point is mixed where both have it."""
    low = np.minimum(at.astype(int), len(recording.xyz) - 1)
    high = np.minimum(low + 1, len(recording.xyz) - 1)
    part = (at - low)[:, None]
    nearest = np.where(part < 0.5, recording.conf[low], recording.conf[high])
    both = (recording.conf[low] > 0) & (recording.conf[high] > 0)
    part = np.where(both, part, np.round(part))[..., None]
    return recording.xyz[low] * (1 - part) + recording.xyz[high] * part, nearest


def _way(a: tuple[Array, Array], b: tuple[Array, Array], fps: float) -> tuple[Array, Array]:
    """Frames from one posture to another (places and confidence): a point that one of them lacks is missing."""
    known = (a[1] > 0) & (b[1] > 0)
    distance = np.linalg.norm((b[0] - a[0])[known], axis=-1).max(initial=0.0)
    frames = int(np.ceil(fps * (_WAY_SECONDS + _SECONDS_PER_WIDTH * distance)))
    u = (np.arange(1, frames + 1) / (frames + 1))[:, None, None]
    ease = u**3 * (10 - 15 * u + 6 * u**2)  # the shortest jerk
    conf = np.where(known, np.minimum(a[1], b[1]), 0.0)
    return a[0] * (1 - ease) + b[0] * ease, np.broadcast_to(conf, (frames, len(conf)))

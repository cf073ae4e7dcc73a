"""How2Sign: full videos of several sentences, clips cut from them, OpenPose JSON, tab-separated files with times."""

from __future__ import annotations

import csv
import io
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from slt_zoo.errors import ConfigError
from slt_zoo.synthetic.layouts.base import Layout
from slt_zoo.synthetic.openpose import OpenPoseWriter
from slt_zoo.synthetic.sentences import SPLITS, Row, distinct, draw
from slt_zoo.synthetic.variation import stream

if TYPE_CHECKING:
    from slt_zoo.synthetic.grammars import Grammar
    from slt_zoo.synthetic.media import WritesPose

__all__ = ["How2SignLayout"]

_VIEW = "sentence_level/{split}/rgb_front"
_TEXT = "sentence_level/{split}/text/en/raw_text"
_PER_VIDEO = 4
_ID = string.ascii_letters + string.digits + "_-"


class How2SignLayout(Layout):
    """The tree that the download script makes, front view, with ``features`` and ``labels`` beside its folders.

    Folders of images, which the corpus is not given out as, lie beside the clips.

    A video holds up to four sentences with pauses between them, and is signed by up to two signers of its split, who
    make a video each: ids of sentences occur twice, their names once. Clips are cut at the times that both annotation
    files have; in the corpus the original times differ from the re-aligned ones.
    """

    corpus: ClassVar[str] = "How2Sign"
    language: ClassVar[str] = "en"
    folders: ClassVar[tuple[str, ...]] = ("sentence_level", "video_level", "features/simulated", "labels")
    places: ClassVar[Mapping[str, str]] = {
        "pose": f"{_VIEW}/features/openpose_output/json/{{id}}",
        "frames": f"{_VIEW}/images/{{id}}",
        "video": f"{_VIEW}/raw_videos/{{id}}.mp4",
        "recording": "video_level/{split}/rgb_front/raw_videos/{recording}.mp4",
        "features": "features/simulated/{split}/{id}.npy",
        "labels": "labels/{split}/{id}.npy",
    }
    fps: ClassVar[float] = 24.0
    frame_size: ClassVar[tuple[int, int]] = (1280, 720)

    def names(self, count: int, seed: int) -> list[str]:
        """Ids of videos: eleven characters."""
        rng = stream(seed, "names", self.corpus)
        names: dict[str, None] = {}
        while len(names) < count:
            names["".join(_ID[k] for k in rng.integers(len(_ID), size=11))] = None
        return list(names)

    def signer_name(self, number: int) -> str:
        """``1`` and so on."""
        return str(number)

    def plan(self, grammar: Grammar, samples: Sequence[int], signers: Sequence[int], seed: int) -> list[Row]:
        """Videos of up to four sentences, each by up to two signers; rows of a video follow each other in time."""
        sizes = [distinct(count, people) for count, people in zip(samples, signers, strict=True)]
        sentences = draw(grammar, sizes, seed)
        names = iter(self.names(sum(sizes), seed))
        rows, first = [], 1
        for split, count, people, size in zip(SPLITS, samples, signers, sizes, strict=True):
            each = max(1, min(_PER_VIDEO, size // people))  # in a small corpus everybody has a short video
            videos = [next(names) for _ in range(0, size, each)]
            for k in range(count):
                turn, sentence = divmod(k, size)
                video, number = divmod(sentence, each)
                signer = self.signer_name(first + (video + turn) % people)
                gloss, text = sentences[split][sentence]
                name, recording = (f"{i}-{signer}-rgb_front" for i in (f"{videos[video]}_{number}", videos[video]))
                rows.append(Row(name, split, signer, tuple(gloss.split()), text, recording=recording))
            first += people
        return rows

    def read_annotations(self, path: Path) -> list[Row]:
        """The corpus has no glosses, so its annotation does not say what to sign.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{self.corpus} has no glosses, so its annotation does not say what to sign",
            where=path,
            todo="leave `annotations` out: sentences are drawn from the English grammar",
        )

    def write_annotations(self, root: Path, rows: Sequence[Row], fps: float) -> None:
        """``how2sign_<split>.csv`` and ``re_aligned/how2sign_realigned_<split>.csv`` with the same times."""
        digits = 2 if fps <= 48 else 3  # as in the release, where that tells frames apart
        for split in SPLITS:
            folder = root / _TEXT.format(split=_name(split))
            (folder / "re_aligned").mkdir(parents=True, exist_ok=True)
            lines = []
            for row in sorted((row for row in rows if row.split == split), key=lambda row: row.id):
                recording, sentence = row.recording or "", row.id.removesuffix(f"-{row.signer}-rgb_front")
                video = recording.removesuffix(f"-{row.signer}-rgb_front")
                times = (round(at / fps, digits) for at in (row.start, row.start + (row.num_frames or 0)))
                lines.append([video, recording, sentence, row.id, *times, row.text])
            for end, file in (
                ("", f"how2sign_{_name(split)}.csv"),
                ("_REALIGNED", f"re_aligned/how2sign_realigned_{_name(split)}.csv"),
            ):
                head = [
                    "VIDEO_ID",
                    "VIDEO_NAME",
                    "SENTENCE_ID",
                    "SENTENCE_NAME",
                    f"START{end}",
                    f"END{end}",
                    "SENTENCE",
                ]
                text = io.StringIO()
                csv.writer(text, delimiter="\t", lineterminator="\n").writerows([head, *lines])
                (folder / file).write_bytes(text.getvalue().encode())

    def place(self, root: Path, row: Row, kind: str) -> Path:
        """As in `places`; the folder of dev is called ``val``."""
        return root / self.places[kind].format(split=_name(row.split), id=row.id, recording=row.recording)

    def pose_writer(self, points: Sequence[str], frame_size: tuple[int, int], fps: float) -> WritesPose:
        """OpenPose's JSON, a file a frame."""
        return OpenPoseWriter(points)


def _name(split: str) -> str:
    return "val" if split == "dev" else split

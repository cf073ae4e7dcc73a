"""PHOENIX14T: German Sign Language (DGS) to German, weather forecasts of a public broadcaster.

Camgöz, Hadfield, Koller, Ney, Bowden, "Neural Sign Language Translation", CVPR 2018. 9 signers (interpreters),
7,096 / 519 / 642 sentences, 25 frames a second. CC BY-NC-SA; archive ``phoenix-2014-T.v3.tar.gz`` on the page
"RWTH-PHOENIX-Weather 2014 T" of RWTH Aachen. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch.utilities import rank_zero_warn

from slt_zoo.data.base import Expected, SLTDataModule
from slt_zoo.data.checks import require_bools
from slt_zoo.data.locations import named_folder, wrong_root
from slt_zoo.data.official import Entry, read_phoenix14t
from slt_zoo.data.places import exists_for_a_split
from slt_zoo.errors import DatasetNotFoundError, first_few
from slt_zoo.types import Media, Sample, Split

__all__ = ["Phoenix14T"]

_GFSLT = "the glosses of GFSLT-VLP's labels: word error rates against them are not comparable with the release's"
_SIGNJOEY = "the texts of signjoey's labels, with ' .' appended, which lifts every score"
_OTHER_VERSIONS = {
    "5922fa039f38ef991287e9b300a9496a62ec38ce8083a8ed1f041a7ad8d7ccb2": _GFSLT,
    "5b1c1afacbbab250b69b9e7c5d1fdb606a4f2ea26545d7694312da084664ff0b": _GFSLT,
    "fe56bf8e95b2f690f1f754e44e5aa1d31c59acd0a6d84bcb81cd47e8aaa03cf1": _GFSLT,
    "15c59859254a72232c498d24aa961adda487b6a3f22813476c2d94ea8777dad7": _SIGNJOEY,
    "4f9a4291b79ae0ed8f605a71818921161e7fe163fb221614b8d903110339d720": _SIGNJOEY,
    "5238cdb148bff813108c1b1c9b43f5dcd5fbd0583094f95fef08dc59dee2e8a1": _SIGNJOEY,
}

_COMPLEX = (
    "the glosses of train carry markers, and its texts end in ' .', which those of dev and test do not: scores of a "
    "model trained on them are not comparable"
)
_COMPLEX_TRAIN = Expected(7096, "f38aea4f6cb979d8bffd502d132cef97d144e3eef77bf3efda8b07220af052c2")

FRAMES, FRAMES_RESIZED, VIDEOS = "fullFrame-210x260px", "fullFrame-*", "videos"
LEVELS = ("", "PHOENIX-2014-T", "PHOENIX-2014-T-release-v3/PHOENIX-2014-T")


class Phoenix14T(SLTDataModule):
    """The corpus in its official layout; ``root`` may be any of three levels of the archive.

    Frames lie in ``features/fullFrame-210x260px/<split>/<name>/*.png`` (a further level ``1/``, as some copies have, is
    accepted), or, where that is missing, in another ``features/fullFrame-*``, or as ``videos/<split>/<name>.mp4``.
    Poses, which the release has not, are looked for in ``poses/`` or where ``poses`` says, see `MediaFinder.find`.

    Args:
        root: the folder that holds the release, the release, or ``PHOENIX-2014-T`` in it.
        frames: folder of frames or videos: a path, or a name below ``features``; found by its usual names by
            default. Or a store of them.
        pose_layout: layout of ``.npy`` poses, where the number of points does not tell it.
        complex_annotation: train on ``PHOENIX-2014-T.train-complex-annotation.corpus.csv``, whose glosses carry markers
            (``__ON__``, ``loc-``) and whose texts end in `` .``. It exists for train alone: dev and test stay plain.
        base: arguments of `SLTDataModule`.
    """

    sign_language = "gsg"
    language = "de"
    fps = 25.0
    protocol = "phoenix14t/signjoey"
    licence = "CC BY-NC-SA (3.0 in the list of sign-language-processing, 4.0 in others; the corpus page decides)"
    access = "page 'RWTH-PHOENIX-Weather 2014 T' of RWTH Aachen, archive phoenix-2014-T.v3.tar.gz, about 39 GB"
    expected: ClassVar[dict[Split, Expected]] = {
        "train": Expected(7096, "be6dab074cf2bedba71423de5022275b5b25e86ce6f6ecd8e2c1fb68ce2bb87b"),
        "dev": Expected(519, "d71b2cb681c62666bbe6081cd908dc407fec73f3a72d1132fe347a6b634ef676"),
        "test": Expected(642, "688c4713e5c8177b3b46e23f7e1f06bb58ec9196a14605993c308366cd0d58ca"),
    }

    other_versions = _OTHER_VERSIONS
    frames_below = "features"

    def __init__(
        self,
        root: str,
        *,
        frames: str | None = None,
        pose_layout: str | None = None,
        complex_annotation: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(root, **base)
        require_bools(complex_annotation=complex_annotation)
        self.frames, self.pose_layout, self.complex_annotation = frames, pose_layout, complex_annotation
        if complex_annotation:
            self.remark = f"complex_annotation=true: {_COMPLEX}"

    def published(self, split: Split) -> Expected | None:
        """Counts and hashes of the annotation that is read."""
        return _COMPLEX_TRAIN if self.complex_annotation and split == "train" else super().published(split)

    def score_notes(self, split: Split) -> dict[str, Any]:
        """The complex annotation too, where it was trained on."""
        notes = super().score_notes(split)
        return {**notes, "complex_annotation": _COMPLEX} if self.complex_annotation else notes

    def corpus_folder(self) -> Path:
        """The folder ``PHOENIX-2014-T``."""
        return self._folder

    @cached_property
    def _folder(self) -> Path:
        tried = [self.root / level for level in LEVELS]
        for folder in tried:
            if any(_annotation(folder, split).is_file() for split in ("train", "dev", "test")):
                return folder
        todo = "pass data.root=<folder that holds PHOENIX-2014-T-release-v3>"
        what = str(_annotation(Path(), "train"))
        raise wrong_root(self.corpus, what, self.root, tried, todo, simulate=type(self))

    def read_annotations(self, split: Split) -> Iterable[Sample]:
        """Samples of the split's ``.corpus.csv``, texts and glosses to the byte.

        Raises:
            DatasetNotFoundError: there is no annotation, or none of this split.
            AnnotationError: the file is damaged; names the line.
        """
        is_complex = self.complex_annotation and split == "train"
        path = _annotation(self._folder, f"{split}-complex-annotation" if is_complex else split)
        if not path.is_file():
            raise DatasetNotFoundError(
                f"{self.corpus}: the {'complex ' if is_complex else ''}annotation of {split} is missing",
                where=path,
                todo="unpack the release again" + ("; data.complex_annotation=false reads the plain one" * is_complex),
            )
        if is_complex:
            rank_zero_warn(f"{self.corpus} train: {_COMPLEX}")
        entries = read_phoenix14t(path, split, complex_annotation=is_complex)
        return [self._sample(entry, split) for entry in entries]

    def _sample(self, entry: Entry, split: Split) -> Sample:
        return Sample(
            id=entry.id,
            split=split,
            text=entry.text,
            language=self.language,
            sign_language=self.sign_language,
            gloss=entry.gloss,
            signer=entry.signer,
            references=(entry.text,),
        )

    def locate(self, sample: Sample) -> dict[str, Media]:
        """Frames, poses, features and sign boundaries, as far as their folders exist."""
        return self.find_media(sample, self._frames, self.pose_layout)

    @cached_property
    def _frames(self) -> Path:
        inside, official = self._folder / "features", self._folder / "features" / FRAMES
        if self.frames is not None:
            named = named_folder(self._folder, self.frames, "features")
            return named if named is not None and exists_for_a_split(named) else inside / self.frames
        if official.is_dir():
            return official
        resized = sorted(path for path in inside.glob(FRAMES_RESIZED) if path.is_dir())
        found = [*resized, *(path for path in [self._folder / VIDEOS] if path.is_dir())]
        if len(found) > 1:
            rank_zero_warn(
                f"{self.corpus}: no {FRAMES}; frames are read from {found[0]}; data.frames chooses another of "
                f"{first_few(found)}"
            )
        return found[0] if found else official

    def media_advice(self, modality: str) -> str:
        """What a person can do when media are missing."""
        if modality == "frames" and self.not_there("frames") is None:
            return (
                f"unpack the frames into {self._frames}, name another folder with "
                "data.frames, or choose a model of poses or features"
            )
        return super().media_advice(modality)


def _annotation(folder: Path, split: str) -> Path:
    return folder / "annotations" / "manual" / f"PHOENIX-2014-T.{split}.corpus.csv"

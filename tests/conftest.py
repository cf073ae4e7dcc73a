"""What all tests share."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest

_CACHE = tempfile.TemporaryDirectory(prefix="slt_zoo_cache_")  # gone when the tests are
os.environ["SLT_ZOO_CACHE"] = _CACHE.name

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real annotation files, poses and clips, beside the checkout; not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data not found at {SHARED_DATA}: put the sample files there to run this test")
    return SHARED_DATA


Clips = Mapping[str, Mapping[str, tuple[str, Path]]]
"""Split (train, val, test) to SENTENCE_NAME to sentence and mp4."""


@pytest.fixture(scope="session")
def how2sign_tree() -> Callable[[Path, Clips], Path]:
    """Lays clips out as the official script of How2Sign does; a split without clips is a header alone."""

    def make(root: Path, clips: Clips) -> Path:
        for split, rows in clips.items():
            text, videos = (
                root / "sentence_level" / split / name for name in ("text/en/raw_text", "rgb_front/raw_videos")
            )
            text.mkdir(parents=True), videos.mkdir(parents=True)
            with (text / f"how2sign_{split}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", lineterminator="\n")
                writer.writerow(["VIDEO_ID", "VIDEO_NAME", "SENTENCE_ID", "SENTENCE_NAME", "START", "END", "SENTENCE"])
                writer.writerows([name[:11], "", "", name, "", "", sentence] for name, (sentence, _) in rows.items())
            for name, (_, video) in rows.items():
                (videos / f"{name}.mp4").symlink_to(video)
        return root

    return make


@pytest.fixture
def how2sign_clips(shared_data: Path) -> dict[str, tuple[str, Path]]:
    """Thirteen real clips: SENTENCE_NAME to sentence and mp4."""
    folder = shared_data / "video/how2sign_rgb_front_clips"
    with (folder / "index.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)  # a sentence begins with a quote character
        found = {r["SENTENCE_NAME"]: (r["SENTENCE"], folder / f"{r['SENTENCE_NAME']}.mp4") for r in rows}
    assert len(found) == 13
    return found

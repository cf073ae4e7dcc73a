"""SignSegmentor on simulated signing at difficulty 0.3, test signers held out.

Simulated signing is no sign language; no number here says how well signs are found in any.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slt_zoo.cli import main
from slt_zoo.data.base import SLTDataModule
from slt_zoo.synthetic import simulate


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_begins_are_found_within_two_frames(seed: int, tmp_path: Path, record_property: Any) -> None:
    """By the shipped recipe and its command; the bound was set before the first run."""
    from slt_zoo import Phoenix14T, load
    from slt_zoo.testing import quick_trainer

    simulate("Phoenix14T", tmp_path / "data", (800, 100, 100), seed=seed, difficulty=0.3)
    words = ["--config", "zoo:sign_segmentor/synthetic/segment", "--data.root", str(tmp_path / "data")]
    words += ["--trainer.default_root_dir", str(tmp_path / "run"), "--seed_everything", str(seed)]
    assert main(["fit", *words, "--data.num_workers", "0", "--trainer.enable_progress_bar", "false"]) == 0
    data: SLTDataModule = Phoenix14T(str(tmp_path / "data"), segments="labels", eval_batch_size=100)
    signers = {split: set(data.manifest(split).column("signer")) for split in ("train", "test")}
    assert not signers["train"] & signers["test"], "signers are held out"
    (scores,) = quick_trainer(tmp_path).test(load(tmp_path / "run" / "best.ckpt"), datamodule=data, verbose=False)
    print(json.dumps({"seed": seed, **{name: round(value, 4) for name, value in sorted(scores.items())}}))
    record_property("scores", scores)
    assert scores["test/begin_f1_within_2"] > 0.9

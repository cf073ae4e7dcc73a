"""`ClipDataset`: random draws, and what is refused before any."""

from __future__ import annotations

import numpy as np
import pytest

from slt_zoo import ClipPipeline, CSLDaily, InputSpec, Phoenix14T
from slt_zoo.data.draws import draws as generator
from slt_zoo.errors import ConfigError
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def root(simulated) -> str:
    return str(simulated("Phoenix14T", samples=(6, 3, 3), seed=5))


def draws(data: Phoenix14T) -> dict[tuple[str, int], float]:
    """What the generator of each sample gives first, in two epochs."""
    drawn = {}

    def transform(clip, rng):
        drawn[clip.sample.id, loader.batches.epoch] = float(rng.random())
        return clip

    data.bind(InputSpec(modality="pose", train=ClipPipeline(transform=transform)), ["train"])
    loader = data.loader("train", training=True)
    for epoch in range(2):
        loader.batches.set_epoch(epoch)
        list(loader)
    return drawn


def test_a_subset_draws_what_the_whole_split_does(root, tmp_path):
    whole = draws(Phoenix14T(root, seed=3))
    ids = sorted({i for i, _ in whole})
    assert len(ids) == 6 and len(set(whole.values())) == 12, "another draw for every sample and epoch"
    assert whole == {(i, epoch): generator(3, epoch, i).random() for i, epoch in whole}
    (tmp_path / "train.files").write_text("\n".join(ids[3:]))
    part = draws(Phoenix14T(root, seed=3, subset=str(tmp_path)))
    assert part == {key: value for key, value in whole.items() if key[0] in ids[3:]}
    assert draws(Phoenix14T(root, seed=4, subset=str(tmp_path))).items().isdisjoint(part.items())


@pytest.mark.parametrize("stride", [4, None])
def test_a_budget_counts_vectors_where_features_have_a_stride(simulated, tmp_path, stride, monkeypatch):
    """CSL-Daily declares frames; features of a stride of 4 are a fourth of them."""
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))
    root = simulated("CSLDaily", samples=(6, 2, 2), seed=3, render=())
    rows = {}
    (tmp_path / "f").mkdir()
    for sample in CSLDaily(str(root)).manifest("train"):
        rows[sample.id] = -(-sample.meta["num_frames"] // 4)
        np.save(tmp_path / "f" / f"{sample.id}.npy", np.ones((rows[sample.id], 3), np.float32))
    budget = 2 * max(rows.values())
    data = CSLDaily(
        str(root), features=str(tmp_path / "f"), feature_stride=stride, frames_per_batch=budget, bucket=True
    )
    data.bind(InputSpec(modality="features"), ["train"])
    loader = data.loader("train", training=True)
    assert dict(zip(data.manifest("train").ids, loader.batches.lengths.tolist(), strict=True)) == rows
    batches = list(loader)
    assert all(len(b) * int(b.features.lengths.max()) <= budget for b in batches)
    assert max(len(b) for b in batches) > 1, "counted in frames of the video, each sample would fill a batch"


def test_a_negative_seed_is_refused(root):
    with pytest.raises(ConfigError, match="seed must be at least 0") as error:
        Phoenix14T(root, seed=-1)
    assert "seed=-1" in str(error.value)

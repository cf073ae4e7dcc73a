"""Manifests as sequences, and the order of training batches."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from slt_zoo.data.manifest import Manifest, annotation_hash
from slt_zoo.data.samplers import TrainBatches
from slt_zoo.errors import AnnotationError
from slt_zoo.types import Media, Sample


def sample(number: int, **more) -> Sample:
    given = {"text": f"Wörter {number}", "language": "de", "sign_language": "gsg", **more}
    return Sample(f"s{number}", "dev", **given)


class TestManifest:
    def test_samples_come_back_as_they_were(self):
        samples = [
            sample(0, gloss=("A", "B"), media={"pose": Media("/x.pose", fps=25.0)}, references=("r1", "r2")),
            sample(1, gloss=(), question="Was?", signer="07", meta={"take": 3}),
            sample(2),
        ]
        manifest = pickle.loads(pickle.dumps(Manifest(samples, corpus="Mine", split="dev")))
        assert list(manifest) == samples and manifest[1] == samples[1] and manifest[-1] == samples[2]
        assert manifest[:2] == samples[:2] and manifest.by_id("s2") == samples[2] and len(manifest) == 3
        assert manifest.column("gloss") == [("A", "B"), (), None]
        with pytest.raises(IndexError):
            manifest[3]

    def test_ids_are_unique(self):
        with pytest.raises(AnnotationError, match="Mine dev: 1 ids occur more than once"):
            Manifest([sample(0), sample(0)], corpus="Mine", split="dev")

    def test_the_hash_is_of_the_strings_alone(self):
        a, b = sample(0, gloss=("A",)), sample(1)
        assert annotation_hash([a, b]) == annotation_hash([b, a])
        assert annotation_hash([a]) == annotation_hash([sample(0, gloss=("A",), signer="9")])
        assert annotation_hash([a]) != annotation_hash([sample(0, gloss=("B",))])
        assert annotation_hash([a]) != annotation_hash([sample(0, gloss=("A",), text="Wörter 0 ")])

    def test_subsets_keep_the_order(self):
        manifest = Manifest([sample(i) for i in range(5)], corpus="Mine", split="dev")
        assert manifest.subset(["s3", "s1"]).ids == ["s1", "s3"]


class TestTrainBatches:
    LENGTHS = np.random.default_rng(0).integers(10, 200, 101)

    def batches(self, epoch=0, **arguments):
        sampler = TrainBatches(101, lengths=self.LENGTHS, **{"batch_size": 8, **arguments})
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(sampler) == len(batches)
        assert all(e == epoch for batch in batches for _, e in batch)
        return [[i for i, _ in batch] for batch in batches]

    def test_a_budget_gives_as_many_batches_in_every_epoch(self):
        """Lightning plans validation by the first epoch's number."""
        epochs = [self.batches(e, frames_per_batch=900) for e in range(12)]
        assert len({len(batches) for batches in epochs}) == 1
        for batches in epochs:
            seen = [i for batch in batches for i in batch]
            assert len(seen) == len(set(seen)) >= 90, "what is left out comes in another epoch"
        assert {i for batches in epochs for batch in batches for i in batch} == set(range(101))

    @pytest.mark.parametrize("arguments", [{}, {"bucket": True}, {"frames_per_batch": 900}])
    def test_every_sample_once_an_epoch(self, arguments):
        for epoch in (0,) if "frames_per_batch" in arguments else (0, 1):
            assert sorted(i for batch in self.batches(epoch, **arguments) for i in batch) == list(range(101))
        assert self.batches(0, **arguments) == self.batches(0, **arguments) != self.batches(1, **arguments)
        assert self.batches(0, **arguments) != self.batches(0, seed=1, **arguments)

    def test_a_budget_is_kept_and_used(self):
        sizes = [len(b) * max(self.LENGTHS[b]) for b in self.batches(frames_per_batch=900, bucket=True)]
        assert max(sizes) <= 900 and np.median(sizes) > 600

    def test_buckets_waste_less(self):
        def padding(batches):
            return sum(len(b) * max(self.LENGTHS[b]) - sum(self.LENGTHS[b]) for b in batches)

        assert padding(self.batches(bucket=True)) < 0.3 * padding(self.batches())

    def test_a_sample_longer_than_the_budget_comes_alone(self):
        assert all(len(b) == 1 for b in self.batches(frames_per_batch=5))

    @pytest.mark.parametrize("replicas", [2, 3, 4])
    def test_processes_share_the_batches_of_one(self, replicas):
        one = self.batches()
        shards = [self.batches(num_replicas=replicas, rank=r) for r in range(replicas)]
        assert len({len(s) for s in shards}) == 1, "every process takes part in every step"
        joined = [batch for step in zip(*shards, strict=True) for batch in step]
        assert joined[: len(one)] == one and len(joined) - len(one) < replicas

    def test_more_processes_than_batches(self):
        shards = []
        for rank in range(4):
            shards.append(list(TrainBatches(3, batch_size=8, num_replicas=4, rank=rank)))
        assert [len(s) for s in shards] == [1, 1, 1, 1]

    @pytest.mark.parametrize("arguments", [{}, {"bucket": True}, {"frames_per_batch": 900, "bucket": True}])
    def test_files_from_afar_are_fetched_few_at_a_time(self, arguments):
        chunks = np.repeat(np.arange(51), 2)[:101]  # 51 files of two samples
        batches = self.batches(chunks=chunks, **arguments)
        seen = [i for batch in batches for i in batch]
        assert len(seen) == len(set(seen)) and (len(seen) == 101 or "frames_per_batch" in arguments)
        assert batches != self.batches(1, chunks=chunks, **arguments)

        def span(order):
            """How many samples lie between the first and the last use of a file, at the median."""
            uses = [[at for at, i in enumerate(order) if chunks[i] == chunk] for chunk in range(51)]
            return np.median([max(u) - min(u) for u in uses if len(u) > 1])

        assert span(seen) < 0.5 * span([i for batch in self.batches(**arguments) for i in batch])
        files = chunks[seen[:16]]
        assert len(set(files.tolist())) > 4, "samples of several files are mixed"

    def test_buckets_need_lengths(self):
        with pytest.raises(ValueError, match="need the lengths"):
            TrainBatches(3, batch_size=1, bucket=True)

"""Hypotheses of several processes: the same result as of one."""

from __future__ import annotations

import json
import logging

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from slt_zoo.errors import ScoreError
from slt_zoo.metrics import PredictionCollector, collector, gather_first, score

IDS = [f"s{i}" for i in range(7)]  # does not divide by 2
REFERENCES = {i: f"wort {n} und noch eins" for n, i in enumerate(IDS)}
HYPOTHESES = {i: f"wort {n if n % 3 else 0} und noch {'eins' if n % 2 else ''}".strip() for n, i in enumerate(IDS)}


def decode(collector, ids):
    for sample_id in ids:
        collector.add([sample_id], [HYPOTHESES[sample_id]], [{"of": sample_id}])


def outcome(collector):
    hypotheses = collector.gather()
    collector.check(IDS)
    values = score(hypotheses, REFERENCES, "strict").values
    return [list(hypotheses.items()), [p.to_dict() for p in collector.predictions], values]


def run_rank(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    collector = PredictionCollector()
    decode(collector, IDS[rank::2])
    results = {"uneven": outcome(collector)}
    collector.reset()
    decode(collector, [*IDS, IDS[0]][rank::2])  # a padded sampler repeats a sample
    results["padded"] = outcome(collector)
    results["again"] = outcome(collector)  # gathering twice changes nothing
    collector.reset()
    collector.add(["s0"], [f"of rank {rank}"])
    results["conflict"] = collector.gather()
    results["first"] = gather_first({"b": f"of {rank}", f"own {rank}": "x"})
    (folder / f"{rank}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


def test_two_processes_give_the_result_of_one(tmp_path):
    single = PredictionCollector()
    decode(single, IDS)
    expected = json.loads(json.dumps(outcome(single)))
    mp.spawn(run_rank, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        results = json.loads((tmp_path / f"{rank}.json").read_text())
        assert results["uneven"] == results["padded"] == results["again"] == expected
        assert results["conflict"] == {"s0": "of rank 0"}
        assert list(results["first"].items()) == [("b", "of 0"), ("own 0", "x"), ("own 1", "x")]


def test_the_order_of_batches_does_not_matter():
    collector = PredictionCollector()
    decode(collector, reversed(IDS))
    assert list(collector.gather()) == IDS


def test_check_names_missing_and_surplus():
    collector = PredictionCollector()
    collector.add(["a", "x"], ["", ""])
    collector.gather()
    with pytest.raises(ScoreError, match=r"(?s)2 missing \(b, c\) and 1 surplus \(x\)"):
        collector.check(["a", "b", "c"])
    with pytest.raises(ScoreError, match=r"1 surplus \(x\)"):
        collector.check(["a", "b", "c"], complete=False)
    collector.check(["a", "b", "x"], complete=False)
    with pytest.raises(ScoreError, match=r"1 missing \(b\)"):
        collector.check(["a", "b", "x"])


def test_an_id_decoded_twice_keeps_the_first_with_a_warning(caplog):
    collector = PredictionCollector()
    with caplog.at_level(logging.WARNING):
        collector.add(["a", "a"], ["same", "same"])
        assert not caplog.records
        collector.add(["a"], ["other"])
    assert "a was decoded twice" in caplog.text
    assert collector.gather() == {"a": "same"}


def test_reset_forgets():
    collector = PredictionCollector()
    collector.add(["a"], ["x"])
    collector.reset()
    assert collector.gather() == {}


@pytest.mark.parametrize(
    ("hypotheses", "extra", "message"),
    [
        (["x"], None, "one hypothesis a sample"),
        (["x", "y"], [{}], "1 extras"),
        (["x", 3], None, "must be a string"),
    ],
)
def test_a_batch_that_does_not_fit(hypotheses, extra, message):
    with pytest.raises(ScoreError, match=message):
        PredictionCollector().add(["a", "b"], hypotheses, extra)


def test_sums_are_joined_by_name_though_a_process_lacks_some(monkeypatch):
    shards = [{"loss": [6.0, 2.0]}, {}, {"loss": [1.0, 1.0], "ctc": [3.0, 1.0]}]
    monkeypatch.setattr(collector, "_of_all_processes", lambda local: shards)
    assert collector.gather_sums({}) == {"ctc": [3.0, 1.0], "loss": [7.0, 3.0]}

"""`slt-zoo score --features`: whatever holds features is read for the nearest training sample."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from slt_zoo import GSL, Phoenix14T
from slt_zoo.cli import main
from slt_zoo.data.averages import AveragedFeatures
from slt_zoo.data.stores.manifest import Extraction, StoreManifest
from slt_zoo.data.stores.writer import PieceWriter, Record, StoreBuilder
from slt_zoo.errors import MissingMediaError
from slt_zoo.metrics import score
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def phoenix(simulated, tmp_path, monkeypatch):
    """A simulated corpus without media, the words that score its dev split with features, and some by split and id."""
    monkeypatch.chdir(tmp_path)
    root = simulated("Phoenix14T", samples=(6, 3, 2), seed=3, render=())
    data = Phoenix14T(str(root))
    rng = np.random.default_rng(0)
    ids = {split: data.manifest(split).ids for split in ("train", "dev")}
    made = {s: {i: rng.standard_normal((4, 3)).astype(np.float32) for i in names} for s, names in ids.items()}
    for k, i in enumerate(made["dev"]):
        made["dev"][i] = made["train"][list(made["train"])[k]] + 1e-3
    Path("h.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": ""}) for i in made["dev"]))
    path = data.corpus_folder() / "annotations/manual/PHOENIX-2014-T.dev.corpus.csv"
    words = ["score", "--hypotheses", "h.jsonl", "--references", str(path), "--split", "dev", "--with-baselines"]
    return data, made, [*words, "--samples", "0", "--json", "--features"]


def _in(kind: str, made: dict, data) -> str:
    """Features in a container."""
    place = Path("places", kind)
    place.mkdir(parents=True)
    if kind == "store":
        store = StoreBuilder(
            place, StoreManifest(Extraction("features", "mine"), "Phoenix14T", {}, True, {"train": "a", "dev": "b"})
        )
        store.begin()
        writer = PieceWriter(store)
        for split, arrays in made.items():
            for i, array in arrays.items():
                writer.add(Record(i, split, {"features": torch.from_numpy(array)}, frames=4, fps=25.0))
        writer.flush()
        store.finish({split: list(arrays) for split, arrays in made.items()})
        return str(place)
    for split, arrays in made.items():
        tensors = {i: torch.from_numpy(a) for i, a in arrays.items()}
        if kind == "pickles":
            rows = [{"name": f"{split}/{i}", "sign": t} for i, t in tensors.items()]
            (place / f"x.{split}").write_bytes(gzip.compress(pickle.dumps(rows)))
        elif kind == "files of many":
            save_file({f"{split}/{i}": t for i, t in tensors.items()}, place / f"my-{split}.safetensors")
        else:
            for i, t in tensors.items():
                torch.save(t, place / f"{i}.pt") if kind == "pt" else np.save(place / f"{i}.npy", t.numpy())
    return f"{place}/my-{{split}}.safetensors" if kind == "files of many" else str(place)


@pytest.mark.parametrize("kind", ["npy", "pt", "pickles", "files of many", "store"])
def test_nearest_by_features_in_any_container(phoenix, kind, capsys):
    data, made, words = phoenix
    assert main([*words, _in(kind, made, data)]) == 0
    row = {r["name"]: r for r in json.loads(capsys.readouterr().out)["baselines"]}["train-nearest by features"]
    texts = [data.manifest("train").by_id(i).text for i in list(made["train"])[: len(made["dev"])]]
    wanted = {sample.id: sample.references for sample in data.manifest("dev")}
    expected = score(dict(zip(made["dev"], texts, strict=True)), wanted, data.protocol, samples=0)
    assert row["values"] == pytest.approx(expected.values), "the nearest are those that the vectors were made of"


def test_features_of_some_samples_make_no_baseline(phoenix, capsys):
    data, made, words = phoenix
    made["train"].pop(next(iter(made["train"])))
    assert main([*words, _in("pickles", made, data)]) == 0
    row = {r["name"]: r for r in json.loads(capsys.readouterr().out)["baselines"]}["train-nearest by features"]
    assert "a sample has no features" in json.dumps(row)
    assert main([*words, "nowhere"]) == 0


def test_ids_of_gsl_with_and_without_their_scenario(simulated, tmp_path):
    data = GSL(str(simulated("GSL", samples=(3, 2, 2), seed=3, render=())))
    sample = data.manifest("dev")[0]
    whole = f"{sample.meta['scenario']}/{sample.id}"
    for place, name in (("a", whole), ("b", sample.id), ("c", f"dev/{sample.id}")):
        path = tmp_path / place / f"{name}.npy"
        path.parent.mkdir(parents=True)
        np.save(path, np.full((2, 3), 5.0))
        assert AveragedFeatures(str(tmp_path / place)).of(whole, "dev").tolist() == [5, 5, 5]
        with pytest.raises(MissingMediaError, match="no features"):
            AveragedFeatures(str(tmp_path / place)).of(whole.replace("sentences0", "sentences9"), "dev")

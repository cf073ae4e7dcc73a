"""`slt-zoo score --features`: whatever holds features is read for the nearest training sample."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
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
from slt_zoo.errors import MissingMediaError, ScoreError
from slt_zoo.metrics import score
from slt_zoo.metrics.baselines import nearest_by_vector
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


def _row(capsys) -> dict:
    rows = json.loads(capsys.readouterr().out)["baselines"]
    return {r["name"]: r for r in rows}["train-nearest by features"]


def test_widths_that_differ_are_told_with_both_files(phoenix, capsys):
    data, made, words = phoenix
    odd = list(made["train"])[-1]
    made["train"][odd] = np.zeros((4, 5), np.float32)
    first = next(iter(made["dev"]))
    assert main([*words, _in("npy", made, data)]) == 0
    row = _row(capsys)
    assert row["values"] is None
    assert all(f"sample {i}" in row["lacks"] and f"{i}.npy': {n}" in row["lacks"] for i, n in ((first, 3), (odd, 5)))
    made["train"] = {i: np.zeros((4, 5), np.float32) for i in made["train"]}
    assert main([*words, _in("pt", made, data)]) == 0
    assert "different widths" in _row(capsys)["lacks"], "all of one split"
    with pytest.raises(ScoreError, match="different widths"):
        nearest_by_vector({"a": np.zeros(3, np.float32)}, np.zeros((2, 5), np.float32), ["x", "y"])


@pytest.mark.parametrize("stride", [1, 2])
def test_tables_of_seconds_have_the_frame_rate_of_the_corpus(phoenix, stride, capsys):
    data, made, words = phoenix
    rng = np.random.default_rng(1)
    Path("t").mkdir()
    for split, arrays in made.items():
        lines = ["id\tpath\tstart\tend", *(f"{i}\t{i}.npy\t2\t6" for i in arrays)]
        Path(f"t/t.{split}.tsv").write_text("\n".join(lines) + "\n")
        for i, array in arrays.items():  # 2 s of anything, 4 s that are meant
            noise, meant = rng.standard_normal((50 // stride, 3)), np.tile(array.mean(0), (100 // stride, 1))
            np.save(f"t/{i}.npy", np.concatenate([noise, meant]).astype(np.float32))
    assert main([*words, _in("npy", made, data)]) == 0
    expected = _row(capsys)["values"]
    given = ["--feature-stride", str(stride)] if stride > 1 else []
    assert main([*words, "t/t.{split}.tsv", *given]) == 0
    assert _row(capsys)["values"] == pytest.approx(expected)


def test_lists_are_joined(phoenix, capsys):
    data, made, words = phoenix
    whole, halves = _in("npy", made, data), []
    for kind, part in (("pt", slice(0, 1)), ("files of many", slice(1, 3))):
        halves.append(_in(kind, {s: {i: a[:, part].copy() for i, a in m.items()} for s, m in made.items()}, data))
    assert main([*words, whole]) == 0
    expected = _row(capsys)["values"]
    assert main([*words, f"[{', '.join(halves)}]"]) == 0
    assert _row(capsys)["values"] == pytest.approx(expected), "halves side by side are the whole"
    assert main([*words, f"[{whole}, {whole}]"]) == 0
    assert "each once" in _row(capsys)["lacks"]
    assert main([*words, f"[{whole}, {_in('store', made, data)}]"]) == 0
    assert "a store is not joined" in _row(capsys)["lacks"]


def test_a_name_below_the_features_of_the_corpus(phoenix, tmp_path, capsys):
    data, made, words = phoenix
    root = tmp_path / "copy"
    shutil.copytree(data.root, root)
    copy = Phoenix14T(str(root))
    words[words.index("--references") + 1] = str(
        copy.corpus_folder() / "annotations/manual/PHOENIX-2014-T.dev.corpus.csv"
    )
    (copy.corpus_folder() / "features").mkdir(exist_ok=True)
    shutil.move(_in("npy", made, data), copy.corpus_folder() / "features" / "mine")
    assert main([*words, "mine"]) == 0
    assert _row(capsys)["values"]["bleu1"] > 0
    assert main([*words, "[mine, yours]"]) == 0
    told = f"--features=yours is no folder here; looked for {copy.corpus_folder()}/features/yours, {tmp_path}/yours"
    assert told in _row(capsys)["lacks"]


def test_features_without_baselines_are_said_to_be_ignored(phoenix, caplog, capsys):
    _, _, words = phoenix
    words.remove("--with-baselines")
    assert main([*words, "nowhere"]) == 0
    assert "--features: of no use without --with-baselines" in caplog.text
    for stride in ("0", "-2"):
        assert main([*words, "nowhere", "--feature-stride", stride]) == 2


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

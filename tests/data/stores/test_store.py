"""Stores: what was written is read, in any order and process; every damage is one error that says what to do."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from store_samples import POINTS, builder, extraction, records, write

from slt_zoo.data.readers import open_reader
from slt_zoo.data.stores import is_store, open_store
from slt_zoo.data.stores.manifest import StoreManifest
from slt_zoo.data.stores.naming import extract_command, extraction_id
from slt_zoo.data.stores.writer import PieceWriter, StoreBuilder
from slt_zoo.errors import MediaError, StoreError


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


class TestReading:
    def test_what_was_written_is_read_in_any_order(self, tmp_path):
        write(tmp_path / "s")
        store = open_store(tmp_path / "s")
        assert len(store) == 18 and store.ids("train") == [f"train/s{i}" for i in range(9)]
        assert len(store.manifest.shards_of("train")) > 1, "the test needs several shards"
        for record in reversed(records()):
            torch.testing.assert_close(store.read(record.id)["features"], record.tensors["features"].half())

    def test_other_programs_read_the_shards(self, tmp_path):
        write(tmp_path / "s")
        shard = open_store(tmp_path / "s").manifest.shards[0]
        with safe_open(tmp_path / "s" / shard.file, "pt") as file:
            rows = file.get_tensor("features")
        expected = torch.cat([r.tensors["features"] for r in records()[: len(shard.ids)]]).half()
        assert torch.equal(rows, expected)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_a_reader_gives_the_rows_asked_for_as_float32(self, tmp_path, dtype):
        write(tmp_path / "s", extraction(dtype=dtype, stride=2, window=4))
        media = open_store(tmp_path / "s").media("train/s4")
        reader = open_reader("features", media, sample_id="train/s4")
        assert (reader.num_frames, reader.fps, media.num_frames) == (7, 29.0 / 2, 7)
        index = torch.tensor([5, 1, 1])
        expected = records()[4].tensors["features"].to(getattr(torch, dtype)).float()[index]
        assert torch.equal(reader.read(index)["features"], expected)
        part = open_reader("features", replace(media, start=2 / 14.5, end=5 / 14.5), sample_id="train/s4")
        assert part.num_frames == 3
        assert torch.equal(part.read(torch.tensor([0]))["features"], records()[4].tensors["features"].to(
            getattr(torch, dtype)).float()[2:3])  # fmt: skip

    def test_only_the_rows_between_the_first_and_the_last_are_read(self, tmp_path, monkeypatch):
        write(tmp_path / "s")
        store = open_store(tmp_path / "s")
        reader = open_reader("features", store.media("train/s8"), sample_id="train/s8")
        read = []
        monkeypatch.setattr(
            "slt_zoo.data.stores.local.read_rows", lambda h, p, a, b, w: read.append(b - a) or torch.ones(2, 40)
        )
        reader.read(torch.tensor([4, 5]))
        assert read == [2]

    def test_poses(self, tmp_path):
        write(tmp_path / "s", kind="pose")
        record = records(kind="pose")[3]
        reader = open_reader("pose", open_store(tmp_path / "s").media(record.id), sample_id=record.id)
        got = reader.read(torch.tensor([2, 0]))
        assert got["points"] == POINTS and reader.fps == 28.0
        assert torch.equal(got["pose"], record.tensors["pose"][[2, 0]])
        assert torch.equal(got["conf"], record.tensors["conf"][[2, 0]])

    def test_frames(self, tmp_path):
        write(tmp_path / "s", kind="frames")
        reader = open_reader("frames", open_store(tmp_path / "s").media("dev/s5"), sample_id="dev/s5")
        frames = reader.read(torch.tensor([7, 0, 7]))["frames"]
        assert frames.dtype == torch.uint8 and frames.shape == (3, 3, 8, 6) and frames.is_contiguous()
        assert frames.float().mean((1, 2, 3)).tolist() == pytest.approx([57, 50, 57], abs=1)

    def test_a_store_of_another_kind_is_told(self, tmp_path):
        write(tmp_path / "s", kind="pose")
        media = open_store(tmp_path / "s").media("train/s0")
        with pytest.raises(MediaError, match="holds pose, not features"):
            open_reader("features", media, sample_id="train/s0")

    def test_a_changed_store_is_opened_again(self, tmp_path):
        write(tmp_path / "s")
        assert open_store(tmp_path / "s") is open_store(tmp_path / "s")
        assert "dev/s0" in open_store(tmp_path / "s")
        other = builder(tmp_path / "s")
        other.begin(overwrite=True)
        writer = PieceWriter(other)
        writer.add(records()[0])
        writer.flush()
        other.finish({"train": ["train/s0"]})
        assert list(open_store(tmp_path / "s")) == ["train/s0"]

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_other_processes_read_the_same(self, tmp_path, method):
        write(tmp_path / "s")
        store = open_store(tmp_path / "s")
        expected = [store.read(r.id)["features"].double().sum().item() for r in records()]
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(_total, [(store, r.id) for r in records()]) == expected

    def test_memory_does_not_grow_and_nothing_stays_mapped(self, tmp_path):
        write(tmp_path / "s")
        store = open_store(tmp_path / "s")
        for _ in range(3):
            for sample_id in store:
                store.read(sample_id)
        mapped = Path("/proc/self/maps")
        assert len(store._handles) == len(store.manifest.shards)
        if mapped.is_file():
            assert str(tmp_path) not in mapped.read_text()


def _total(task) -> float:
    store, sample_id = task
    return store.read(sample_id)["features"].double().sum().item()


class TestDamage:
    """Each is told when the store is opened, with the place and what to do."""

    def fault(self, folder: Path) -> str:
        with pytest.raises(StoreError) as error:
            open_store(folder)
        assert error.value.todo and str(folder) in str(error.value)
        return str(error.value)

    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        write(tmp_path / "s")
        return tmp_path / "s"

    def change(self, folder, edit) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        edit(content)
        (folder / "manifest.json").write_text(json.dumps(content))

    def test_a_missing_shard(self, folder):
        next(iter(folder.glob("dev-*"))).unlink()
        assert "shard of the store is missing" in self.fault(folder)

    def test_a_cut_shard(self, folder):
        shard = next(iter(folder.glob("dev-*")))
        shard.write_bytes(shard.read_bytes()[:-100])
        assert "cut off" in self.fault(folder)

    @pytest.mark.parametrize("damage", ["header", "length", "offsets"])
    def test_a_damaged_header(self, folder, damage):
        shard = next(iter(folder.glob("dev-*")))
        data = shard.read_bytes()
        new = {
            "header": data[:8] + b"[" + data[9:],
            "length": (1 << 60).to_bytes(8, "little") + data[8:],
            "offsets": data.replace(b'"data_offsets":[0,', b'"data_offsets":[8,'),
        }[damage]
        assert len(new) == len(data) and new != data
        shard.write_bytes(new)
        assert "cut off or damaged" in self.fault(folder)

    def test_a_shard_that_is_not_what_the_manifest_says(self, folder):
        self.change(folder, lambda m: m["shards"][0]["rows"].__setitem__(0, 4))
        assert "does not hold what the manifest says" in self.fault(folder)

    def test_shards_that_were_exchanged(self, folder):
        self.change(folder, lambda m: m["shards"][0]["ids"].reverse())
        assert "not of this store" in self.fault(folder)

    def test_a_later_version(self, folder):
        self.change(folder, lambda m: m.update(version=99))
        text = self.fault(folder)
        assert "another version" in text and "99" in text

    @pytest.mark.parametrize(
        "edit",
        [
            lambda m: m.pop("format"),
            lambda m: m.pop("shards"),
            lambda m: m["made_by"].update(kind="sound"),
            lambda m: m["made_by"].update(stride=0),
            lambda m: m["shards"][0]["rows"].pop(),
            lambda m: m["shards"][0].update(file="../elsewhere.safetensors"),
            lambda m: m["annotations"].update(tset="aa"),
        ],
    )
    def test_foreign_or_damaged_json(self, folder, edit):
        self.change(folder, edit)
        assert "not the manifest of a store" in self.fault(folder)

    def test_no_json(self, folder):
        (folder / "manifest.json").write_bytes(b"\xff{")
        assert "not the manifest of a store" in self.fault(folder)

    def test_no_manifest(self, folder):
        (folder / "manifest.json").unlink()
        assert is_store(folder) and "manifest of a store is missing" in self.fault(folder)

    def test_an_unfinished_store(self, tmp_path):
        builder(tmp_path / "s").begin()
        assert "goes on where it was stopped" in self.fault(tmp_path / "s")

    def test_a_missing_id(self, folder):
        with pytest.raises(StoreError, match="no sample 'train/s99'") as error:
            open_store(folder).read("train/s99")
        assert "train/s9" in str(error.value) or "similar" in str(error.value)

    def test_no_pickle_is_opened(self, folder):
        shard = next(iter(folder.glob("train-*")))
        shard.write_bytes(pickle.dumps({"a": 1}).ljust(shard.stat().st_size, b"\0"))
        assert "cut off or damaged" in self.fault(folder)


class TestWriting:
    def test_pieces_and_interruptions_leave_no_trace(self, tmp_path):
        write(tmp_path / "whole")
        stopped = builder(tmp_path / "twice")
        stopped.begin()
        stopped.reopen()
        writers = [PieceWriter(stopped, seconds=0), PieceWriter(stopped, seconds=1e9)]
        for i in (7, 2, 5, 0):
            writers[i % 2].add(records()[i])  # the second process loses what it had not flushed
        left = stopped.missing("train", [r.id for r in records()])
        assert left == ["train/s1", "train/s3", "train/s4", "train/s5", "train/s6", "train/s7", "train/s8"]
        write(tmp_path / "twice", seconds=0)
        assert files(tmp_path / "twice") == files(tmp_path / "whole")

    def test_a_kill_between_shards(self, tmp_path, monkeypatch):
        write(tmp_path / "whole")
        made = []

        def kill(self, path, kept, write=StoreBuilder.write):
            if "-of-" in path.name and len(made) == 2:
                raise KeyboardInterrupt
            made.append(path) if "-of-" in path.name else None
            write(self, path, kept)

        monkeypatch.setattr(StoreBuilder, "write", kill)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "s")
        monkeypatch.undo()
        assert len(list((tmp_path / "s").glob("*-of-*"))) == 2
        again = builder(tmp_path / "s")
        again.begin()
        assert again.missing("train", [r.id for r in records()]) == []
        write(tmp_path / "s")
        assert files(tmp_path / "s") == files(tmp_path / "whole")

    def test_half_a_file_is_never_taken_for_a_whole_one(self, tmp_path):
        store = builder(tmp_path / "s")
        store.begin()
        (tmp_path / "s" / "parts").mkdir(exist_ok=True)
        (tmp_path / "s" / "parts" / ".xyz.tmp").write_bytes(b"half")
        assert len(store.missing("train", ["train/s0"])) == 1
        (tmp_path / "s" / "parts" / "train-1.safetensors").write_bytes(b"half a file, renamed by hand")
        with pytest.raises(StoreError, match="cut off or damaged"):
            store.missing("train", ["train/s0"])

    def test_a_split_is_added_and_the_others_stay(self, tmp_path):
        write(tmp_path / "s", splits=("train",), annotations={"train": "aa"})
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").glob("train-*")}
        write(tmp_path / "s", splits=("train", "dev"))
        assert {p: p.stat().st_mtime_ns for p in before} == before
        write(tmp_path / "at_once")
        assert files(tmp_path / "s") == files(tmp_path / "at_once")

    def test_a_split_that_was_stopped_waits_while_another_is_finished(self, tmp_path):
        stopped = builder(tmp_path / "s")
        stopped.begin()
        writer = PieceWriter(stopped, seconds=0)
        for record in records()[:4]:
            writer.add(record)
        write(tmp_path / "s", splits=("dev",))
        store = open_store(tmp_path / "s")
        assert len(store) == 9 and not store.ids("train"), "four of nine samples are no split"
        again = builder(tmp_path / "s")
        again.begin()
        assert len(again.missing("train", [r.id for r in records()])) == 5
        write(tmp_path / "s")
        write(tmp_path / "whole")
        assert files(tmp_path / "s") == files(tmp_path / "whole")

    def test_another_part_of_a_split_is_added_and_the_first_stays(self, tmp_path):
        for part in (records()[:3], records()[5:]):
            store = builder(tmp_path / "s")
            store.begin()
            store.reopen()
            writer = PieceWriter(store)
            for record in part:
                writer.add(record)
            writer.flush()
            store.finish({"train": [r.id for r in part]})
        assert open_store(tmp_path / "s").ids("train") == [r.id for r in [*records()[5:], *records()[:3]]]

    def test_overwriting_deletes_the_store_and_nothing_else(self, tmp_path):
        write(tmp_path / "s")
        (tmp_path / "s" / "notes.txt").write_text("mine")
        other = builder(tmp_path / "s", extraction(weights="beef"))
        other.begin(overwrite=True)
        assert {p.name for p in (tmp_path / "s").iterdir()} == {"manifest.json", "notes.txt", "parts"}
        assert StoreManifest.read(tmp_path / "s").made_by.weights == "beef"

    def test_samples_are_added_to_a_complete_split(self, tmp_path):
        store = builder(tmp_path / "s")
        store.begin()
        writer = PieceWriter(store)
        for record in records()[::2]:
            writer.add(record)
        writer.flush()
        store.finish({"train": [r.id for r in records()]}, unreadable={"train/s1": "cut off"})
        assert open_store(tmp_path / "s").manifest.unreadable == {"train/s1": "cut off"}
        write(tmp_path / "s", splits=("train",))
        assert open_store(tmp_path / "s").ids("train") == [r.id for r in records()]
        assert not open_store(tmp_path / "s").manifest.unreadable
        assert not (tmp_path / "s" / "parts").exists()

    @pytest.mark.parametrize(
        ("changes", "field", "values"),
        [
            ({"made": extraction(settings={"seed": 1, "size": (64, 48)})}, "settings.seed", ("0", "1")),
            ({"made": extraction(weights="beef")}, "weights", ("'cafe'", "'beef'")),
            ({"made": extraction(extractor="timm:resnet34")}, "extractor", ("resnet18", "resnet34")),
            ({"made": extraction(dtype="float32")}, "dtype", ("float16", "float32")),
            ({"annotations": {"train": "cc"}}, "annotations.train", ("'aa'", "'cc'")),
            ({"corpus": "GSL"}, "corpus", ("Phoenix14T", "GSL")),
            ({"media": {"view": "side"}}, "media", ("{}", "side")),
        ],
    )
    @pytest.mark.parametrize("complete", [True, False])
    def test_makings_are_not_mixed(self, tmp_path, changes, field, values, complete):
        if complete:
            write(tmp_path / "s")
        else:
            begun = builder(tmp_path / "s")
            begun.begin()
            PieceWriter(begun, seconds=0).add(records()[0])
            begun.release()
        before = {p: p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()}
        with pytest.raises(StoreError, match="must not be mixed") as error:
            builder(tmp_path / "s", **changes).begin()
        assert field in str(error.value) and all(v in str(error.value) for v in values)
        assert {p: p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()} == before

    def test_what_was_begun_and_has_nothing_may_change(self, tmp_path):
        builder(tmp_path / "s", extraction(weights="beef")).begin()
        write(tmp_path / "s")
        assert open_store(tmp_path / "s").manifest.made_by.weights == "cafe"

    def test_a_foreign_piece_is_refused(self, tmp_path):
        other = builder(tmp_path / "other", extraction(weights="beef"))
        other.begin()
        PieceWriter(other, seconds=0).add(records()[0])
        store = builder(tmp_path / "s")
        store.begin()
        store.release()
        other.release()
        (tmp_path / "other" / "parts").rename(tmp_path / "s" / "parts")
        with pytest.raises(StoreError, match="another extraction") as error:
            store.missing("train", ["train/s0"])
        assert "cafe" in str(error.value) and "beef" in str(error.value)

    def test_a_folder_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("mine")
        with pytest.raises(StoreError, match="holds no store"):
            builder(tmp_path).begin()
        with pytest.raises(StoreError, match="holds no store"):
            builder(tmp_path).begin(overwrite=True)
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]

    def test_numbers_that_do_not_fit_are_told_with_the_sample(self, tmp_path):
        store = builder(tmp_path / "s")
        store.begin()
        writer = PieceWriter(store, seconds=0)
        large, broken = records()[:2]
        large.tensors["features"][1, 3] = 1e6
        broken.tensors["features"][0, 0] = float("nan")
        with pytest.raises(MediaError, match="do not fit into float16") as error:
            writer.add(large)
        assert "train/s0" in str(error.value) and "1e+06" in str(error.value) and "bfloat16" in str(error.value)
        with pytest.raises(MediaError, match=r"1 of 160 numbers .* NaN") as error:
            writer.add(broken)
        assert "train/s1" in str(error.value)
        store.release()
        assert not (tmp_path / "s" / "parts").exists()

    def test_rows_of_different_widths_are_told(self, tmp_path):
        store = builder(tmp_path / "s")
        store.begin()
        writer = PieceWriter(store, seconds=0)
        writer.add(records()[0])
        with pytest.raises(MediaError, match="different shapes") as error:
            writer.add(replace(records()[1], tensors={"features": torch.ones(3, 41)}))
        assert "(40,), as sample train/s0" in str(error.value)

    def test_a_store_can_be_read_by_others(self, tmp_path):
        write(tmp_path / "s")
        assert {p.stat().st_mode & 0o044 for p in (tmp_path / "s").iterdir()} == {0o044}


class TestIds:
    def test_an_id_names_the_command_that_makes_it(self):
        made = extraction()
        name = extraction_id(
            "timm:hf_hub/x.y", {"frame-size": "112x96", "pretrained": "", "precision": "16-mixed"}, "ab"
        )
        assert name == "timm-hf_hub_x.y,frame-size=112x96,pretrained,precision=16-mixed,ab"
        given = extract_command(
            extraction_id("timm:a.b", {"frame-size": "112x96", "seed": "0"}, made.digest()), "GSL", "my data"
        )
        assert given == "slt-zoo extract --corpus GSL --root 'my data' --encoder timm:a.b --frame-size 112 96 --seed 0"
        more = extract_command(
            "s3d,weights=cafe,precision=16-mixed,ab", "How2Sign", "R", {"cut": "clips"}, ["train", "dev"]
        )
        assert more == (
            "slt-zoo extract --corpus How2Sign --root R --encoder s3d --weights FILE --precision 16-mixed "
            "--set cut=clips --splits train dev"
        )

    def test_the_hash_is_of_all_settings(self):
        ids = {extraction(**change).digest() for change in ({}, {"stride": 2}, {"settings": {}}, {"dtype": "float32"})}
        assert len(ids) == 4 and extraction().digest() == extraction(weights="other").digest()


def test_stored_frames_at_another_size(tmp_path):
    write(tmp_path / "s", kind="frames", splits=("train",))
    media = open_store(tmp_path / "s").media("train/s1")
    reader = open_reader("frames", media, sample_id="s1", frame_size=(4, 3))
    frames = reader.read(torch.arange(4))["frames"]
    assert frames.shape == (4, 3, 4, 3) and frames.is_contiguous()
    assert frames.float().mean((1, 2, 3)).tolist() == pytest.approx([10, 11, 12, 13], abs=1)

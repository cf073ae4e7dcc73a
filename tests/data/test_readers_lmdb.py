"""LMDB files of frames: as the folder of the same images, as LMDB itself reads them, and damaged in every way."""

from __future__ import annotations

import io
import logging
import os
import pickle
import struct
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lmdb_folders import details_of, write_lmdb
from PIL import Image

from slt_zoo.data.length_cache import LengthCache
from slt_zoo.data.readers import base, lmdb_file, open_reader
from slt_zoo.data.readers.lmdb_file import DATA_FILE, LmdbFile
from slt_zoo.data.readers.plain_pickle import load_pickled
from slt_zoo.errors import MediaError
from slt_zoo.types import Media

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def picture(size: int = 80, form: str = "JPEG") -> bytes:
    """Noise, so that no two are alike; a larger one does not fit beside its key."""
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(buffer, form)
    return buffer.getvalue()


def open_folder(folder: Path, sample_id: str = "s1", **media):
    return open_reader("frames", Media(str(folder), **media), sample_id=sample_id)


def read(folder: Path, index: list[int] | None = None, **media) -> torch.Tensor:
    reader = open_folder(folder, **media)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))["frames"]


def as_files(folder: Path, images: list[bytes], ending: str = "jpg") -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number:06d}.{ending}").write_bytes(image)
    return folder


@pytest.fixture
def whole(tmp_path) -> Path:
    return write_lmdb(tmp_path / "s1", [picture() for _ in range(12)], details_of(12, "s1"))


def warnings_of(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# As other readers see it.


@pytest.mark.parametrize(("size", "form"), [(8, "JPEG"), (80, "JPEG"), (80, "PNG")])
def test_as_the_folder_of_the_same_images(tmp_path, caplog, size, form):
    images = [picture(size, form) for _ in range(120)]  # keys in the file: 0, 1, 10, 100, 101, ...
    folder = as_files(tmp_path / "files", images, form.lower().replace("jpeg", "jpg"))
    packed = write_lmdb(tmp_path / "lmdb", images, details_of(120, "train/s1"))
    there = sorted(packed.iterdir())
    frames = read(packed)
    assert torch.equal(frames, read(folder)) and len(frames) == 120
    for index in ([7], [119, 0, 10, 9], [3, 3]):
        assert torch.equal(read(packed, index), frames[index])
    assert torch.equal(read(packed, start=1.0, end=2.0, fps=25.0), frames[25:50])
    for reader in (open_reader("frames", Media(str(p)), sample_id="s1", frame_size=16) for p in (folder, packed)):
        assert reader.read(torch.tensor([5]))["frames"].shape == (1, 3, 16, 16)
    assert open_folder(packed, fps=25.0).fps == 25.0
    assert sorted(packed.iterdir()) == there and not caplog.records, "no lock file, no warning"


def values_by_lmdb(folder: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(folder), readonly=True, lock=False) as env, env.begin() as transaction:
        return list(transaction.cursor())


def values_by_us(folder: Path) -> list[tuple[bytes, bytes]]:
    file = LmdbFile(folder / DATA_FILE, "here")
    with file.opened() as value_of:
        return [(key, value_of(value)) for key, value in file.values.items()]


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(st.dictionaries(st.binary(min_size=1, max_size=60), st.integers(0, 9000), max_size=60), max_size=4))
def test_as_lmdb_itself(tmp_path_factory, transactions):
    """Any keys, values beside them and in pages of their own, written over and deleted in several transactions."""
    folder = tmp_path_factory.mktemp("any")
    with lmdb.open(str(folder), map_size=2**28) as env:
        for number, content in enumerate(transactions):
            with env.begin(write=True) as transaction:
                for key, size in content.items():
                    transaction.put(key, bytes([number, size % 256]) * (size // 2))
                for key in list(content)[::3]:
                    transaction.delete(key)
    assert values_by_us(folder) == values_by_lmdb(folder)


def test_a_deep_tree(tmp_path):
    with lmdb.open(str(tmp_path), map_size=2**28) as env, env.begin(write=True) as transaction:
        for number in range(20_000):
            transaction.put(f"{number:0100d}".encode(), str(number).encode() * 9)
    assert env is not None and values_by_us(tmp_path) == values_by_lmdb(tmp_path)


def test_files_that_are_not_read(tmp_path, whole):
    with lmdb.open(str(tmp_path / "named"), map_size=2**24, max_dbs=2) as env:
        frames = env.open_db(b"frames")
        with env.begin(write=True, db=frames) as transaction:
            transaction.put(b"0", picture())
    with pytest.raises(MediaError, match=r"0 frames in the LMDB file[\s\S]*keys '0', '1'[\s\S]*no keys"):
        open_folder(tmp_path / "named")
    path = whole / DATA_FILE
    data = bytearray(path.read_bytes())
    for at in (16, 4096 + 16):
        data[at : at + 4] = data[at : at + 4][::-1]
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"meta page 0[\s\S]*64-bit little-endian[\s\S]*magic 0xdec0efbe"):
        open_folder(whole)


# By hand: pages of another size, as macOS has them, and trees that lie.


def by_hand(path: Path, entries: dict[bytes, bytes], size: int = 16384, **lies: int) -> Path:
    """A database of one leaf, with pages of any size."""
    root, depth, count = lies.get("root", 2), lies.get("depth", 1), lies.get("count", len(entries))
    main = struct.pack("<IHHQQQQQ", 0, lies.get("sort", 0), depth, 0, 1, 0, count, root)
    metas = b""
    for number, transaction in enumerate((0, 1)):
        free = struct.pack("<IHHQQQQQ", size, 0, 0, 0, 0, 0, 0, 2**64 - 1)
        meta = struct.pack("<II16x48s48sQQ", 0xBEEFC0DE, 1, free, main, 2, transaction)
        metas += (struct.pack("<QHHHH", number, 0, 8, 0, 0) + meta).ljust(size, b"\0")
    page, places = bytearray(size), []
    upper = size
    for key, value in sorted(entries.items()):
        node = struct.pack("<HHHH", len(value), 0, lies.get("flags", 0), len(key)) + key + value
        upper -= len(node) + len(node) % 2
        page[upper : upper + len(node)] = node
        places.append(upper)
    head = struct.pack("<QHHHH", 2, 0, lies.get("kind", 2), 16 + 2 * len(places), upper)
    page[: 16 + 2 * len(places)] = head + struct.pack(f"<{len(places)}H", *places)
    path.mkdir()
    (path / DATA_FILE).write_bytes(metas + page)
    return path


@pytest.mark.parametrize("size", [4096, 16384])
def test_pages_of_another_size(tmp_path, size):
    images = [picture(8), picture(8)]
    folder = by_hand(tmp_path / "a", {b"0": images[0], b"1": images[1]}, size)
    assert torch.equal(read(folder), read(as_files(tmp_path / "files", images)))
    if size == os.sysconf("SC_PAGESIZE"):
        assert values_by_lmdb(folder) == values_by_us(folder), "the builder of this test builds what LMDB reads"


@pytest.mark.parametrize(
    ("lies", "message"),
    [
        ({"root": 1}, "page 1 of 2"),
        ({"root": 2**60}, "page 1152921504606846976 of 2"),
        ({"depth": 33}, "33 pages deep"),
        ({"depth": 0}, "0 pages deep"),
        ({"depth": 2}, "page 2 is not what it should be"),
        ({"depth": 2, "kind": 1}, "page [0-9]+ of 2"),
        ({"count": 3}, "3 keys declared, 2 found"),
        ({"flags": 1}, "page [0-9]+ of 2"),
        ({"kind": 0x22}, "page 2 is not what it should be"),
    ],
)
def test_trees_that_lie(tmp_path, lies, message):
    with pytest.raises(MediaError, match=rf"LMDB file is damaged[\s\S]*s1[\s\S]*{message}"):
        open_folder(by_hand(tmp_path / "a", {b"0": picture(8), b"1": picture(8)}, **lies))


def test_a_database_of_several_values_a_key(tmp_path):
    with pytest.raises(MediaError, match=r"not a plain LMDB database[\s\S]*s1[\s\S]*flags 0x4"):
        open_folder(by_hand(tmp_path / "a", {b"0": picture(8)}, sort=4))


def test_a_tree_that_contains_itself(tmp_path):
    folder = by_hand(tmp_path / "a", {b"0": b""}, depth=32, kind=1)
    data = bytearray((folder / DATA_FILE).read_bytes())
    (at,) = struct.unpack_from("<H", data, 2 * 16384 + 16)
    data[2 * 16384 + at : 2 * 16384 + at + 6] = struct.pack("<HHH", 2, 0, 0)
    (folder / DATA_FILE).write_bytes(data)
    with pytest.raises(MediaError, match="page 2 twice"):
        open_folder(folder)


def test_a_value_without_end(whole, monkeypatch):
    monkeypatch.setattr(lmdb_file, "MAX_VALUE", 1000)
    with pytest.raises(MediaError, match=r"more than 1,000 bytes[\s\S]*s1"):
        read(whole)


# What the keys say.


def test_missing_frames(tmp_path, caplog):
    images = {n: picture() for n in range(10) if n != 4}
    folder = write_lmdb(tmp_path / "s1", images, details_of(10, "s1"))
    assert len(read(folder, num_frames=10)) == 9
    told = warnings_of(caplog)
    assert len(told) == 3 and all("s1" in text for text in told)
    assert "num_frames is 10, 9 found (first missing number 4)" in told[0]
    assert "the frames have a gap, first missing number 4" in told[1]
    assert "10 frames annotated, 9 found (first missing number 4)" in told[2]


@pytest.mark.parametrize(
    ("numbers", "count", "told"),
    [
        (range(1, 6), 5, "first missing number 0"),  # keys begin at 0, else one is lost
        (range(5), 6, "num_frames is 6, 5 found; what"),
        (range(5), 4, "num_frames is 4, 5 found; what"),
    ],
)
def test_frames_lost_at_the_ends(tmp_path, caplog, numbers, count, told):
    folder = write_lmdb(tmp_path / "s1", {n: picture(8) for n in numbers}, details_of(count, "s1"))
    assert len(read(folder)) == 5
    (text,) = warnings_of(caplog)
    assert told in text


def test_keys_that_are_no_frames_are_not_seen(tmp_path):
    folder = write_lmdb(tmp_path / "s1", [picture()], details_of(1, "s1"))
    with lmdb.open(str(folder), map_size=2**24) as env, env.begin(write=True) as transaction:
        for key in (b"00", b"-1", b"1.0", b"\xd9\xa1", b"keypoints", b"1 "):
            transaction.put(key, b"x")
    assert len(read(folder)) == 1


def test_numbers_without_end(tmp_path, caplog):
    content = {"num_frames": 10**5000, "id": "s1", -(10**5000): 1}
    assert len(read(write_lmdb(tmp_path / "s1", [picture(8)], pickle.dumps(content)))) == 1
    content["num_frames"] = "?"
    assert len(read(write_lmdb(tmp_path / "s2", [picture(8)], pickle.dumps(content)))) == 1
    first, second = warnings_of(caplog)
    assert "num_frames is some int, 1 found" in first and "'num_frames': str, 'id': str, some int: int" in second


@pytest.mark.parametrize("details", [None, pickle.dumps({"num_frames": "3"})])
def test_details_that_say_nothing(tmp_path, caplog, details):
    folder = write_lmdb(tmp_path / "s1", [picture()] * 3, details)
    assert len(read(folder)) == 3
    (text,) = warnings_of(caplog)
    assert "s1" in text and ("no key 'details'" in text if details is None else "'num_frames': str" in text)


def test_no_frames(tmp_path):
    with pytest.raises(MediaError, match=r"0 frames[\s\S]*s1[\s\S]*keys details"):
        open_folder(write_lmdb(tmp_path / "s1", [], details_of(0, "s1")))
    with pytest.raises(MediaError, match=r"0 frames[\s\S]*no keys"):
        open_folder(write_lmdb(tmp_path / "s2", []))


@pytest.mark.parametrize(
    ("name", "sample_id", "folder"),
    [
        ("a", "a", "a"),
        ("train/a", "a", "a"),
        ("/data/train/a", "a", "a"),
        ("M\u00fcller-1", "Mu\u0308ller-1", "Mu\u0308ller-1"),
        ("take/s1", "take/s1", "s1"),
        ("scenario/take/s1", "take/s1", "s1"),
        ("s1", "take/s1", "s1"),
        ("b-rgb_side", "b-rgb_front", "b-rgb_side"),  # the corpus names the one camera, its folder the other
        ("val/b-rgb_side", "b-rgb_front", "b-rgb_side"),
    ],
)
def test_names_of_the_sample(tmp_path, caplog, name, sample_id, folder):
    path = write_lmdb(tmp_path / folder, [picture(8)], details_of(1, name))
    assert open_folder(path, sample_id).num_frames == 1 and not caplog.records


@pytest.mark.parametrize(
    ("name", "sample_id", "folder"),
    [("b", "a", "a"), ("train/b", "a", "a"), ("aa", "a", "a"), ("", "a", "a"), ("other/s1", "take/s1", "s1")],
)
def test_another_sample(tmp_path, name, sample_id, folder):
    path = write_lmdb(tmp_path / folder, [picture(8)], details_of(1, name))
    with pytest.raises(MediaError, match=rf"of another sample[\s\S]*{DATA_FILE}.*'details'[\s\S]*id '{name}'") as error:
        open_folder(path, sample_id)
    assert sample_id in str(error.value)


def test_broken_images(tmp_path):
    images = [picture() for _ in range(5)]
    for broken, message in [(b"", "0 bytes"), (images[3][:-300], "truncated"), (b"GIF89a", "cannot identify")]:
        folder = write_lmdb(tmp_path / str(len(broken)), [*images[:3], broken, images[4]], details_of(5, "s1"))
        assert len(read(folder, [0, 1, 2, 4])) == 4
        with pytest.raises(MediaError, match=rf"cannot decode key '3' of '.*mdb' \(sample s1, frame 3\).*{message}"):
            read(folder)


def test_images_of_different_sizes(tmp_path):
    folder = write_lmdb(tmp_path / "s1", [picture(8), picture(16)], details_of(2, "s1"))
    with pytest.raises(MediaError, match=r"different sizes[\s\S]*s1.*frame 1[\s\S]*8x8, as frame 0[\s\S]*16x16"):
        read(folder)


# What is damaged.


class Evil:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_hostile_details(tmp_path):
    mark = tmp_path / "pwned"
    for n, evil in enumerate(
        [
            pickle.dumps({"num_frames": 1, "id": Evil(f"touch {mark}")}),
            pickle.dumps(Evil(f"touch {mark}"), 0),
            b"\x80\x02}(X\x02\x00\x00\x00idcbuiltins\neval\n\x8c\x011\x85Ru.",
        ]
    ):
        folder = write_lmdb(tmp_path / str(n), [picture(8)], evil)
        with pytest.raises(MediaError, match=r"pickle wants \w+\.\w+: refused[\s\S]*s1.*'details'"):
            open_folder(folder)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(f"touch {mark}")))
    assert mark.exists(), "it would have run"


@pytest.mark.parametrize(
    ("details", "message"),
    [
        (pickle.dumps([1]), "not a dict"),
        (b"", "cut off|cannot read as a pickle"),
        (details_of(1, "s1")[:-3], "cannot read as a pickle|cut off"),
        (b"no pickle", "cannot read as a pickle"),
        (details_of(1, "s1" * 2**20), "at most are read: refused"),
        (b"\x80\x04}r\xff\xff\xff\x7f.", "more objects than it has bytes: refused"),  # room for 2**31 objects
        (b"}p2147483647\n.", "more objects than it has bytes: refused"),
    ],
)
def test_details_that_are_no_details(tmp_path, details, message):
    with pytest.raises(MediaError, match=rf"({message})[\s\S]*s1[\s\S]*'details'"):
        open_folder(write_lmdb(tmp_path / "s1", [picture(8)], details))


def test_pickled_bytes():
    content = {"num_frames": np.int64(3), "id": "a", "more": [1.5, None, {"x": np.ones(2)}]}
    for protocol in range(6):
        found = load_pickled(pickle.dumps(content, protocol), "here")
        assert found["num_frames"] == 3 and found["id"] == "a" and found["more"][:2] == [1.5, None]


def test_a_file_that_changes_while_it_is_read(whole):
    reader = open_folder(whole)
    write_lmdb(whole, [picture()])
    with pytest.raises(MediaError, match=r"has changed while it was read[\s\S]*s1"):
        reader.read(torch.tensor([0]))
    reader = open_folder(whole)
    (whole / DATA_FILE).unlink()
    with pytest.raises(FileNotFoundError):  # `read_clip` makes a MediaError of it
        reader.read(torch.tensor([0]))


def test_nothing_stays_open(whole):
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("the system does not list open files")
    there = set(handles.iterdir())
    readers = [open_folder(whole) for _ in range(50)]
    for reader in readers:
        reader.read(torch.tensor([0, 5]))
    assert len(set(handles.iterdir()) - there) <= 1, "the listing itself has one"


@pytest.mark.parametrize("size", [8, 80])
def test_cut_files(tmp_path, size):
    """Wherever it is cut, it is an error, or everything that is in use was before the cut."""
    folder = write_lmdb(tmp_path / "s1", [picture(size) for _ in range(12)], details_of(12, "s1"))
    path, frames = folder / DATA_FILE, read(folder)
    data = path.read_bytes()
    for length in [*range(0, len(data), 509), len(data) - 1]:
        path.write_bytes(data[:length])
        try:
            assert torch.equal(read(folder), frames)
        except MediaError as error:
            assert "cut off" in error.what and "s1" in str(error) and f"{length} bytes" in str(error)
        else:
            assert length > len(data) - 4096


@pytest.mark.parametrize("examples", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_pages(examples, whole, caplog):
    """Damage in what is no picture: an error, a warning, or the right frames."""
    path, frames = whole / DATA_FILE, read(whole)
    data = path.read_bytes()
    runs = {v.page: -(-(v.size + 16) // 4096) for v in LmdbFile(path, "here").values.values() if v.page is not None}
    assert len(runs) == 12
    heads = st.sampled_from(sorted(runs)).flatmap(lambda page: st.integers(0, 15).map(lambda n: page * 4096 + n))
    own = sorted(set(range(len(data) // 4096)) - {first + n for first, pages in runs.items() for n in range(pages)})
    within = st.integers(0, 170) | st.integers(4096 - 400, 4095) | st.integers(0, 4095)  # where something is, mostly
    places = st.sampled_from(own).flatmap(lambda page: within.map(lambda n: page * 4096 + n))
    refused = []

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(st.lists(st.tuples(places | heads, st.integers(0, 255)), min_size=1, max_size=6))
    def check(changes):
        base._told.clear()
        caplog.clear()
        damaged = bytearray(data)
        for at, byte in changes:
            damaged[at] = byte
        path.write_bytes(damaged)
        try:
            found = read(whole)
        except MediaError as error:
            assert "s1" in str(error) and DATA_FILE in str(error)
            refused.append(error.what)
            return
        assert torch.equal(found, frames) or warnings_of(caplog)

    check()
    assert len(refused) > examples / 5 and len(set(refused)) > 4, "else little was damaged"


def test_lengths_are_asked_again_when_the_file_changes(tmp_path, monkeypatch):
    """In place: the time of the folder stays."""
    monkeypatch.setenv("SLT_ZOO_CACHE", str(tmp_path / "cache"))
    folder = write_lmdb(tmp_path / "s1", [picture(8)] * 3, details_of(3, "s1"))
    before = folder.stat().st_mtime_ns

    def length() -> float | None:
        cache = LengthCache("hash", "frames", tmp_path)
        found = cache.ask(Media(str(folder)), "frames", lambda: asked.append(1) or open_folder(folder).num_frames)
        cache.save()
        return found

    asked: list[int] = []
    assert (length(), length(), len(asked)) == (3, 3, 1)
    other = write_lmdb(tmp_path / "other", [picture(8)] * 4, details_of(4, "s1"))
    (folder / DATA_FILE).write_bytes((other / DATA_FILE).read_bytes())
    os.utime(folder, ns=(before, before))
    assert (length(), len(asked)) == (4, 2)

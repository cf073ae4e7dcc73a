"""Containers of features, and what a pickle may not do."""

import gzip
import io
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from slt_zoo.data.readers import base, open_reader
from slt_zoo.data.readers.plain_pickle import load_pickle
from slt_zoo.errors import MediaError
from slt_zoo.types import Media


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


def read(path, item=None, kind="features"):
    reader = open_reader(kind, Media(str(path), item=item), sample_id="s1")
    return reader.read(torch.arange(reader.num_frames))["features"]


def signs(count=3, dtype=torch.float32):
    rng = torch.Generator().manual_seed(0)
    return [
        {"name": f"dev/clip-{i}", "signer": "Signer01", "gloss": "A B", "text": "a b .", "sign": s.to(dtype)}
        for i, s in enumerate(torch.rand(4 + i, 16, generator=rng) for i in range(count))
    ]


def write(path, content, protocol=None, zipped=True):
    with gzip.open(path, "wb") if zipped else path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_of_tensors(tmp_path, protocol, zipped):
    entries = signs()
    path = write(tmp_path / "corpus.pami0.dev", entries, protocol, zipped)
    for i, entry in enumerate(entries):
        assert torch.equal(read(path, f"clip-{i}"), entry["sign"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int16])
def test_types_of_tensors(tmp_path, dtype):
    entries = signs(1, dtype)
    assert torch.equal(read(write(tmp_path / "a.pkl", entries), "clip-0"), entries[0]["sign"].float())


def test_views_and_parameters(tmp_path):
    whole = torch.arange(60.0).view(10, 6)
    for tensor in (whole[2:5, 1:4], whole.t(), torch.nn.Parameter(whole[1:])):
        path = write(tmp_path / "a.pkl", [{"name": "x", "sign": tensor}])
        assert torch.equal(read(path, "x"), tensor.detach())
        path.unlink()


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("module", [b"numpy._core", b"numpy.core"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_pickle_of_arrays(tmp_path, protocol, module, order):
    array = np.asarray(np.random.default_rng(0).normal(size=(5, 8)), dtype=">f4", order=order)
    data = pickle.dumps([{"name": "test/x", "sign": array, "scalar": np.float32(1)}], protocol=protocol)
    if protocol == 2:  # text: the older name is as good
        data = data.replace(b"numpy._core", module)
    (tmp_path / "test.pkl").write_bytes(data)
    assert torch.equal(read(tmp_path / "test.pkl", "x"), torch.from_numpy(array.astype("f4")))


def test_a_file_of_one(tmp_path):
    entries = signs(1)
    assert torch.equal(read(write(tmp_path / "a.pkl", entries)), entries[0]["sign"])
    tensor = entries[0]["sign"]
    save_file({"anything": tensor}, tmp_path / "a.safetensors")
    torch.save(tensor.clone(), tmp_path / "a.pt")
    torch.save({"features": tensor.clone()}, tmp_path / "b.pth")
    for name in ("a.safetensors", "a.pt", "b.pth"):
        assert torch.equal(read(tmp_path / name), tensor)


def test_tensors_by_name(tmp_path):
    tensors = {"a": torch.ones(2, 3), "b": torch.zeros(4, 3)}
    save_file(tensors, tmp_path / "x.safetensors")
    torch.save(tensors, tmp_path / "x.pt")
    for path in (tmp_path / "x.safetensors", tmp_path / "x.pt"):
        assert torch.equal(read(path, "b"), tensors["b"])
        with pytest.raises(MediaError, match=r"2 tensors in the file: which one\?[\s\S]*x\.[\s\S]*a, b"):
            read(path)


@pytest.mark.parametrize("item", ["clip-7", "../clip-0", "/etc/passwd", "dev/clip-0", None])
def test_no_such_item(tmp_path, item):
    path = write(tmp_path / "dev.pkl", signs(12))
    with pytest.raises(MediaError) as error:
        read(path, {"clip-7": "clip-77"}.get(item, item))
    for part in ("s1", "dev.pkl", "12", "clip-"):
        assert part in str(error.value)
    save_file({"a": torch.ones(2, 3), "b": torch.ones(2, 3)}, tmp_path / "x.safetensors")
    if item:
        with pytest.raises(MediaError, match="which one"):
            read(tmp_path / "x.safetensors", item)


def test_a_changed_file_is_read_again(tmp_path):
    path = write(tmp_path / "a.pkl", [{"name": "x", "sign": torch.ones(2, 3)}])
    assert read(path, "x").shape == (2, 3)
    write(path, [{"name": "x", "sign": torch.ones(5, 3)}])
    os.utime(path, ns=(1, 1))
    assert read(path, "x").shape == (5, 3)


def test_what_is_read_is_a_copy(tmp_path):
    path = write(tmp_path / "a.pkl", [{"name": "x", "sign": torch.ones(2, 3)}])
    first = read(path, "x")
    first += 1
    assert torch.equal(read(path, "x"), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"name": "x", "sign": torch.zeros(0), "num_frames": 5}], r"annotations and no features[\s\S]*\(0,\)"),
        ([{"name": "x", "sign": torch.zeros(1, 1)}], r"annotations and no features[\s\S]*\(1, 1\)"),
        ([{"name": "x", "sign": torch.zeros(8)}], r"two axes[\s\S]*\(8,\)"),
        ([{"name": "x", "sign": "abc"}], r"real numbers[\s\S]*a str"),
        ([{"name": "x", "sign": None}], r"real numbers[\s\S]*a NoneType"),
        ([{"name": "x", "sign": [[1, 2], [3]]}], r"real numbers[\s\S]*a list"),
        ([{"name": "x", "text": "a"}], r"not a pickle of features[\s\S]*name and sign[\s\S]*name, text"),
        ([{"name": "x", "sign": 0}, {"name": "dev/x", "sign": 0}], r"1 names occur twice"),
        ([], "not a pickle of features"),
        (3, r"not a pickle of features[\s\S]*a int"),
        ({"x": 1}, "not a pickle of features"),
    ],
)
def test_other_content(tmp_path, content, message):
    with pytest.raises(MediaError, match=message) as error:
        read(write(tmp_path / "a.pkl", content), "x")
    assert "s1" in str(error.value) and "a.pkl" in str(error.value)


def test_damaged_files(tmp_path):
    whole = write(tmp_path / "a.pkl", signs()).read_bytes()
    plain = write(tmp_path / "b.pkl", signs(), zipped=False).read_bytes()
    save_file({"a": torch.ones(9, 9)}, tmp_path / "a.safetensors")
    torch.save(torch.ones(9, 9), tmp_path / "a.pt")
    for name, content in [
        ("a.pkl", whole[:-40]),
        ("a.pkl", whole[:20]),
        ("a.pkl", plain[: len(plain) // 2]),
        ("a.safetensors", (tmp_path / "a.safetensors").read_bytes()[:-8]),
        ("a.pt", (tmp_path / "a.pt").read_bytes()[:-200]),
        ("a.pt", b""),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError, match=r"cut off|cannot read as") as error:
            read(tmp_path / name, "clip-0")
        assert "s1" in str(error.value) and name in str(error.value)


def test_a_folder_is_no_file_of_features(tmp_path):
    with pytest.raises(MediaError, match=r"features are read from a file[\s\S]*a folder"):
        read(tmp_path)


# Hostile pickles: a mark on the disk tells whether anything has run.


class _Calls:
    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def _hostile(mark):
    touch = f"touch {mark}"
    yield pickle.dumps(_Calls(os.system, touch)), f"{os.system.__module__}.system"
    yield b"cos\nsystem\n(S'" + touch.encode() + b"'\ntR.", "os.system"
    yield b"(S'" + touch.encode() + b"'\nios\nsystem\n.", "os.system"
    yield pickle.dumps([{"name": "x", "sign": _Calls(eval, f"open({str(mark)!r}, 'w')")}], protocol=4), "builtins.eval"
    yield pickle.dumps(_Calls(torch.load, str(mark))), "torch.serialization.load"
    yield pickle.dumps(_Calls(np.load, str(mark))), "numpy"
    yield b"\x80\x02cbuiltins\ngetattr\n.", "builtins.getattr"
    yield b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile"
    # An allowed name is good for nothing else: it cannot be changed, nor called where it is only an argument.
    yield b"\x80\x02c_codecs\nencode\n}U\x0c__defaults__)sb.", "_codecs.encode"
    yield b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", "numpy.ndarray"
    yield b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.", "encoding 'hex'"
    yield pickle.dumps(np.array([_Calls(os.system, touch)], dtype=object), protocol=2), "'O8'"
    yield pickle.dumps(np.array([None]), protocol=2), "'O8'"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["features", "pose"])
def test_hostile_pickles_run_nothing(tmp_path, kind, zipped):
    mark = tmp_path / "ran"
    for i, (data, name) in enumerate(_hostile(mark)):
        path = tmp_path / f"{i}.pkl"
        data = data if data[:1] == b"\x80" else b"\x80\x02" + data
        path.write_bytes(gzip.compress(data) if zipped else data)
        with pytest.raises(MediaError, match=r"pickle wants .*: refused") as error:
            read(path, "x", kind)
        for part in (name, "s1", path.name, "convert it"):
            assert part in str(error.value), (i, str(error.value))
        assert not mark.exists()


def test_hostile_pickle_inside_a_tensor(tmp_path):
    """Numbers of a tensor are a file of their own inside the pickle."""
    mark = tmp_path / "ran"
    inner = io.BytesIO()
    torch.save(_Calls(os.system, f"touch {mark}"), inner, _use_new_zipfile_serialization=False)
    for data in (inner.getvalue(), b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."):
        code = b"\x80\x04ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(data)) + data + b"\x85R."
        (tmp_path / "a.pkl").write_bytes(code)
        with pytest.raises(MediaError, match="s1"):
            read(tmp_path / "a.pkl", "x")
        assert not mark.exists()


def test_hostile_torch_file(tmp_path):
    mark = tmp_path / "ran"
    torch.save({"features": _Calls(os.system, f"touch {mark}")}, tmp_path / "a.pt")
    with pytest.raises(MediaError, match=r"pickle wants \w+\.system: refused[\s\S]*s1.*a\.pt"):
        read(tmp_path / "a.pt")
    assert not mark.exists()


def test_sizes_that_the_file_has_not(tmp_path):
    """A few bytes that ask for a tensor of 10^12 numbers are no reason to make one."""
    storage = pickle.dumps(torch.ones(2, 3), protocol=2)
    body = storage[: storage.index(b"K\x00K\x02K\x03\x86")]  # up to offset, size, stride
    huge, rest = b"\x8a\x06" + (10**12).to_bytes(6, "little"), b"\x89ccollections\nOrderedDict\n)RtR."
    strided = [
        b"K\x00" + huge + b"K\x03\x86K\x00K\x00\x86",
        b"K\x00K\x02K\x03\x86K\x09K\x01\x86",
        b"K\x05K\x02\x85K\x01\x85",
    ]
    for numbers in strided:
        (tmp_path / "a.pkl").write_bytes(body + numbers + rest)
        with pytest.raises(MediaError, match="cannot read as a pickle") as error:
            load_pickle(tmp_path / "a.pkl", _as_is, "sample s1")
        assert "s1" in str(error.value)
        (tmp_path / "a.pkl").unlink()


def _as_is(content):
    return content

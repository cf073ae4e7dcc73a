"""Tables that name the files of samples: which are known, what columns mean, and damage told with its line."""

from __future__ import annotations

import re
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo.data.media_finder import SUFFIXES
from slt_zoo.data.media_tables import find_table
from slt_zoo.data.places import find_place
from slt_zoo.data.readers import open_reader
from slt_zoo.errors import AnnotationError, MediaError
from slt_zoo.types import Media

WICV = "id\tsigns_file\tsigns_offset\tsigns_length\tsigns_type\tsigns_lang\ttranslation"
HUGS = "signal\tsignal_start\tsignal_end\tencoder_prompt\tdecoder_prompt\toutput"


def write(folder, text, name="t.tsv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def parts(path, kind="features", split="test"):
    return dict(find_table(path, split, kind, SUFFIXES[kind]).parts)


def values(path, kind="features"):
    """By id: path below the table's folder, start, end, first row, row behind the last."""
    found = {}
    for name, part in parts(path, kind).items():
        _, file, *bounds = astuple(part)
        found[name] = (file.removeprefix(f"{path.parent}/"), *bounds)
    return found


def test_a_plain_table(tmp_path):
    path = write(tmp_path, "id\tpath\tstart\tend\na\tx/1.npy\t\t\nb\t/far/2.npy\t1.5\t2\ntrain/c\t3.npy\t\t1e1\n")
    assert values(path) == {
        "a": ("x/1.npy", None, None, None, None),
        "b": ("/far/2.npy", 1.5, 2.0, None, None),
        "c": ("3.npy", None, 10.0, None, None),
    }


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_line_ends_and_order_of_columns(tmp_path, delimiter, end):
    rows = [["path", "id"], ["ä b.npy", "ä"], ["2.npy", "b"]]
    path = write(tmp_path, "\ufeff" + end.join(delimiter.join(row) for row in rows), "t.csv")
    assert values(path) == {"ä": ("ä b.npy", *[None] * 4), "b": ("2.npy", *[None] * 4)}


def test_multimodalhugs_counts_milliseconds_and_zero_is_the_whole_file(tmp_path):
    rows = [
        '/p/a.b.pose\t0\t0\t__dgs__\t__de__\tguten "abend',
        "b.npy\t\t\t\t\t",
        "c.pose\t24\t385.0\t\t\tx",
        "d\t24\t0\t\t\t",
    ]
    path = write(tmp_path, "\r\n".join([HUGS, *rows]) + "\r\n")
    assert values(path, "pose") == {
        "a.b": ("/p/a.b.pose", None, None, None, None),
        "b": ("b.npy", None, None, None, None),
        "c": ("c.pose", 0.024, 0.385, None, None),
        "d": ("d", 0.024, None, None, None),
    }
    path = write(tmp_path, "signal\toutput\nfolder/a.npy\tx\n")  # features have no times there
    assert values(path) == {"a": ("folder/a.npy", *[None] * 4)}


def test_wicv2023_counts_rows(tmp_path):
    path = write(tmp_path, f"{WICV}\nvid_1-5-rgb_front\ttrain/1.npy\t0\t7\ti3d\tasl\tHi!\nb\t1.npy\t7\t3\ti3d\tasl\t\n")
    assert values(path) == {
        "vid_1-5-rgb_front": ("train/1.npy", None, None, 0, 7),
        "b": ("1.npy", None, None, 7, 10),
    }


@pytest.mark.parametrize("header", ["video_name\tduration\tcaption\n", "video_name\tlength\tlabel\n", ""])
@pytest.mark.parametrize(
    "home",
    ["manifests", ".", "features", "features/0", "manifests/features", "test", "features/test", "features/0/test"],
)
def test_ssvp_slt_has_folders_of_prefixes(tmp_path, header, home):
    touch(tmp_path, f"{home}/00000/00000-a.pt", "manifests/t.tsv")
    path = write(tmp_path / "manifests", f"{header}00001-x.mp4\t2\t\n00000-a.mp4\t3.5\tHi\n00000-bc.mp4\t-1\t\n")
    found = {name: part.path for name, part in parts(path).items()}
    assert found == {
        name: str(tmp_path / home / name[:5] / f"{name}.pt") for name in ("00001-x", "00000-a", "00000-bc")
    }


def test_of_several_epochs_none_is_guessed(tmp_path):
    for epoch in "01":
        (tmp_path / "features" / epoch / "00000").mkdir(parents=True)
        (tmp_path / "features" / epoch / "00000" / "00000-a.pt").touch()
    path = write(tmp_path, "00000-a.mp4\t3.5\tHi\n")
    (part,) = parts(path).values()
    assert not Path(part.path).exists(), "missing media, and the message says where they were looked for"
    assert (
        find_place(tmp_path / "features" / "1", "test", SUFFIXES["features"])
        .path("00000-a")
        .endswith("1/00000/00000-a.pt")
    )


@pytest.mark.parametrize("word", ["dev", "val", "valid", "validation"])
def test_a_table_a_split(tmp_path, word):
    write(tmp_path, "id\tpath\na\t1.npy\n", f"x.{word}.tsv")
    assert list(parts(tmp_path / "x.{split}.tsv", split="dev")) == ["a"]
    assert find_table(tmp_path / "x.{split}.tsv", "test", "features", (".npy",)) is None
    assert find_table(tmp_path, "dev", "features", (".npy",)) is None
    assert find_table(tmp_path / "none.tsv", "dev", "features", (".npy",)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("id\tpath\n", "no line"),
        ("sample\tsign_language\tlanguage\ttext\na\tase\ten\tHi\n", "line 1[\\s\\S]*id, path"),
        ("id\tpath\tstrat\na\tb\t1\n", "unknown column 'strat'[\\s\\S]*line 1"),
        ("path\tstart\nb\t1\n", "no column 'id'[\\s\\S]*line 1"),
        ("id\tpath\tpath\na\tb\tc\n", "'path' twice"),
        ("id\tsigns_file\tsigns_length\na\tb.npy\t3\n", "no column 'signs_offset'"),
        ("id\tpath\na\tb.npy\na\tc.npy\n", "line 3: id 'a' is also on line 2"),
        ("id\tpath\na\tb.npy\ntrain/a\tc.npy\n", "line 3: id 'a' is also on line 2"),
        (
            f"{HUGS}\nx/a.npy\t0\t5\t\t\t\nx/a.npy\t5\t9\t\t\t\n",
            "line 3: id 'a' is also[\\s\\S]*id, path, start and end",
        ),
        ("id\tpath\na\tb.npy\textra\n", "line 2: 3 fields, expected 2"),
        ("id\tpath\na\tb.npy\n\nc\td.npy\n", "line 3: 1 fields"),
        ("id\tpath\na\tb.npy\nid\tpath\n", "line 3: the header again"),
        ("id\tpath\tstart\tend\na\tb.npy\t2\t2\n", "line 2: end is[\\s\\S]*behind the begin, 2"),
        ("id\tpath\tstart\tend\na\tb.npy\t\t0\n", "line 2: end is"),
        ("id\tpath\tstart\tend\na\tb.npy\t-1\t2\n", "line 2: start is"),
        ("id\tpath\tstart\tend\na\tb.npy\tnan\t2\n", "line 2: start is[\\s\\S]*'nan'"),
        ("id\tpath\tstart\tend\na\tb.npy\t1\tinf\n", "line 2: end is"),
        (f"{HUGS}\na.npy\t385\t24\t\t\t\n", "line 2: signal_end is[\\s\\S]*385"),
        (f"{HUGS}\na.npy\t0:01\t0\t\t\t\n", "line 2: signal_start is[\\s\\S]*'0:01'"),
        (f"{WICV}\na\ta.npy\t-1\t7\ti3d\tasl\t\n", "line 2: signs_offset is[\\s\\S]*'-1'"),
        (f"{WICV}\na\ta.npy\t1.5\t7\ti3d\tasl\t\n", "line 2: signs_offset is"),
        (f"{WICV}\na\ta.npy\t0\t0\ti3d\tasl\t\n", "line 2: signs_length is[\\s\\S]*at least one"),
        ("video_name\tduration\tcaption\na/b.mp4\t1\t\n", "line 2: video_name is"),
        ("video_name\tduration\tcaption\nb.mp4\tHi\t1\n", "line 2: duration is"),
        ("00000-a.mp4\t3.5\tHi\n00001-b.mp4\tHi\n", "line 2: 2 fields, expected 3"),
        ("id\tpath\na\t../b.npy\n", "line 2: path is[\\s\\S]*without '\\.\\.'"),
        ("id\tpath\na\t/x/../b.npy\n", "line 2: path is"),
        ("id\tpath\na\tx\\..\\b.npy\n", "line 2: path is"),
        ("id\tpath\n../a\tb.npy\n", "'../a' cannot be an id[\\s\\S]*line 2"),
        (f"{HUGS}\nx/..\t0\t0\t\t\t\n", "line 2: signal is"),
        ("id\tpath\n/a\tb.npy\n", "cannot be an id[\\s\\S]*line 2"),
        ("id\tpath\na\t\n", "line 2: path is"),
        ("id\tpath\n\tb.npy\n", "cannot be an id[\\s\\S]*line 2"),
        ("id\tpath\na\t b.npy\n", "line 2: path is"),
        ('id\tpath\na\t"b.npy"\n', "line 2: path is"),
        ("id\tpath\na\tb\u202enpy\n", "line 2: path is"),
        ("id\tpath\na\tb\0.npy\n", "NUL[\\s\\S]*line 2"),
    ],
)
def test_damage_is_told_with_file_and_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(AnnotationError, match=message) as error:
        parts(path)
    assert str(path) in str(error.value)


def test_another_encoding(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes("id\tpath\nü\tb.npy\n".encode("latin-1"))
    with pytest.raises(AnnotationError, match="line 2"):
        parts(path)


LINES = {
    "a person": ("id\tpath\tstart\tend", lambda i: f"clip-{i}\tx/{i}.npy\t{i}.5\t{i + 2}.25"),
    "multimodalhugs": (HUGS, lambda i: f"x/clip-{i}.npy\t{i * 100}\t{i * 100 + 50}\t__dgs__\t__de__\tguten abend"),
    "wicv2023": (WICV, lambda i: f"clip-{i}\tx/{i}.npy\t{i}\t{i + 3}\ti3d\tasl\tHi there"),
    "ssvp_slt": ("video_name\tduration\tcaption", lambda i: f"clip-{i}.mp4\t{i}.25\tHi there"),
    "ssvp_slt alone": (None, lambda i: f"clip-{i}.mp4\t{i}.25\tHi there"),
}


def literal(columns, cells):
    """What stands on a line, said once more without the reader."""
    named = dict(zip(columns, cells, strict=True))
    if "signs_file" in named:
        first = int(named["signs_offset"])
        return named["id"], named["signs_file"], None, None, first, first + int(named["signs_length"])
    if "signal" in named:
        times = (named["signal_start"].strip(), named["signal_end"].strip())
        times = [float(t) / 1000 if t and float(t) else None for t in times]
        return Path(named["signal"]).name.removesuffix(".npy"), named["signal"], *times, None, None
    if "video_name" in named:
        name = re.sub(r"(?i)\.(mp4)$", "", named["video_name"])
        return name, f"features/{name[:5]}/{name}.npy", *[None] * 4
    return named["id"], named["path"], *(float(t) if t.strip() else None for t in cells[2:4]), None, None


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("examples", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_one_damage_of_a_line(tmp_path, kind, examples):
    """Another form of a line gives the media of the cells that stand there, or an error with file and line."""
    header, line = LINES[kind]
    path, columns = tmp_path / "t.tsv", (header or LINES["ssvp_slt"][0]).split("\t")

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(st.data())
    def check(data):
        lines = [line(i) for i in range(3)]
        which = data.draw(st.integers(0, 2))
        damage = data.draw(st.sampled_from(["drop", "insert", "other", "cut", "twice", "swap"]))
        text = lines[which]
        at = data.draw(st.integers(0, len(text) - 1))
        sign = data.draw(st.sampled_from(list("\t,;|\"'.- /\\\0\n\r0x\u00a0\u202e\u2028é:*")))
        if damage == "drop":
            lines[which] = text[:at] + text[at + 1 :]
        elif damage == "insert":
            lines[which] = text[:at] + sign + text[at:]
        elif damage == "other":
            lines[which] = text[:at] + sign + text[at + 1 :]
        elif damage == "cut":
            lines[which] = text[:at]
        elif damage == "twice":
            lines.append(text)
        else:
            cells = text.split("\t")
            cells[0], cells[1] = cells[1], cells[0]
            lines[which] = "\t".join(cells)
        whole = "\n".join([*([] if header is None else [header]), *lines])
        path.write_bytes(whole.encode())
        first = 1 if header is None else 2
        try:
            found = values(path)
        except AnnotationError as error:
            assert str(path) in str(error)
            told = re.search(r"line (\d+)", str(error))
            assert told is not None, error
            assert int(told[1]) in (*range(which + first, which + first + 2), len(lines) + first - 1, 1)
            return
        assert damage != "twice"
        text = whole.replace("\r\n", "\n").replace("\r", "\n")
        rows = [row for row in text.split("\n")[first - 1 :] if row]
        wanted = {}
        for row in rows:
            name, *rest = literal(columns, row.split("\t"))
            wanted[re.sub("^(train|dev|val|test)/", "", name)] = tuple(rest)
        read = {name: (str(Path(file)), *bounds) for name, (file, *bounds) in found.items()}
        assert read == {name: (str(Path(file)), *bounds) for name, (file, *bounds) in wanted.items()}

    check()


# Rows of a file.


def test_a_part_in_rows(tmp_path, caplog):
    array = np.arange(20, dtype=np.float32).reshape(10, 2)
    np.save(tmp_path / "a.npy", array)

    def rows(first, last, kind="features"):
        media = Media(str(tmp_path / "a.npy"), row_start=first, row_end=last, num_frames=99, layout="holistic75")
        reader = open_reader(kind, media, sample_id="s")
        return reader.read(torch.arange(reader.num_frames))

    np.testing.assert_array_equal(rows(0, 10)["features"], array)
    np.testing.assert_array_equal(rows(3, 7)["features"], array[3:7])
    assert not caplog.records, "a part is not compared with the declared length of the whole"
    np.testing.assert_array_equal(rows(8, 12)["features"], array[8:])
    assert "rows 8 to 12 are cut at the end of the file, 10 rows" in caplog.text
    for first, last, message in ((10, 12, "past the end"), (4, 4, "no part"), (-1, 4, "no part")):
        with pytest.raises(MediaError, match=message):
            rows(first, last)
    poses = np.random.default_rng(0).normal(size=(10, 75, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", poses)
    np.testing.assert_array_equal(rows(3, 7, "pose")["pose"], poses[3:7])


# Folders of prefixes.


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("kind", ["features", "pose", "frames"])
@pytest.mark.parametrize("level", ["", "test/"])
def test_files_in_folders_of_prefixes(tmp_path, kind, level):
    ending = {"features": ".pt", "pose": ".pose", "frames": ".mp4"}[kind]
    touch(tmp_path, f"{level}S0000/S0000_1{ending}", f"{level}S0001/S0001_1{ending}", ".DS_Store")
    place = find_place(tmp_path, "test", SUFFIXES[kind])
    assert place.path("S0001_7") == f"{tmp_path}/{level}S0001/S0001_7{ending}"


def test_folders_of_frames_in_folders_of_prefixes(tmp_path):
    touch(tmp_path, "S0000/S0000_1/1.png")
    place = find_place(tmp_path, "test", SUFFIXES["frames"])
    assert place.path("S0000_1") == f"{tmp_path}/S0000/S0000_1"


@pytest.mark.parametrize(
    "names",
    [
        ["00001/00001.png"],  # a sample with such a name
        ["00001/1.png", "00002/1.png"],
        ["00001/00001_000000000000_keypoints.json"],
        ["00001/00001x.mp4", "other/x.png", "longer/x.png"],
        ["00001/00001x.mp4", "a.mp4"],
        ["00001"],
        ["valid/valid.mp4"],
    ],
)
def test_what_is_no_folder_of_prefixes_is_found_as_before(tmp_path, names):
    touch(tmp_path, *names)
    place = find_place(tmp_path, "test", SUFFIXES["frames"])
    assert place is None or (not place.prefixed and place.folder == tmp_path)


def test_prefixes_cost_one_more_listing(tmp_path, monkeypatch):
    import os

    touch(tmp_path, *[f"{i:05d}/{i:05d}-a.pt" for i in range(50)])
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(str(path)), scandir(path))[1])
    place = find_place(tmp_path, "test", SUFFIXES["features"])
    assert place.prefixed and listed == [str(tmp_path), str(tmp_path / "00000")]

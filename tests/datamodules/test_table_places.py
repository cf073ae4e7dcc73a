"""A corpus whose media are named by a table, or lie in folders of prefixes, gives what its own folder gives."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

import slt_zoo
from slt_zoo import InputSpec
from slt_zoo.data.places import names_of
from slt_zoo.errors import AnnotationError, ConfigError, MediaError, MissingMediaError
from slt_zoo.testing import simulated
from slt_zoo.types import SPLITS

__all__ = ["simulated"]  # a fixture

CORPORA = ("Phoenix14T", "CSLDaily", "How2Sign", "GSL")
SPECS = {kind: InputSpec(modality=kind) for kind in ("features", "pose", "frames")}
ARGUMENTS = {"features": "features", "pose": "poses", "frames": "frames"}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=CORPORA)
def corpus(request, simulated):
    """Makes a data module on a simulated corpus with all media."""
    kinds = ("video", "pose", "features")
    root = simulated(request.param, samples=(3, 2, 2), seed=3, render=kinds, frame_size=(64, 48))
    return lambda **arguments: getattr(slt_zoo, request.param)(str(root), **{"features": "simulated"} | arguments)


def batches(data, kind, splits=SPLITS):
    data.bind(SPECS[kind], splits)
    return [batch for split in splits for batch in data.loader(split)]


def same(found, wanted, kind):
    assert [b.id for b in found] == [b.id for b in wanted]
    assert [b.text for b in found] == [b.text for b in wanted]
    for a, b in zip(found, wanted, strict=True):
        for field in {"features": ("features",), "pose": ("pose", "pose_conf"), "frames": ("frames",)}[kind]:
            assert torch.equal(getattr(a, field).values, getattr(b, field).values), field
            assert torch.equal(getattr(a, field).lengths, getattr(b, field).lengths)
        assert a.fps == b.fps


def located(data, kind):
    return {split: {s.id: s.media[kind] for s in data.manifest(split)} for split in SPLITS}


def table(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerows([columns, *rows] if columns else rows)


HUGS = ("signal", "signal_start", "signal_end", "encoder_prompt", "decoder_prompt", "output")
WICV = ("id", "signs_file", "signs_offset", "signs_length", "signs_type", "signs_lang", "translation")


def write_table(form, folder, split, media):
    """A table of ``form``; files are linked from where it looks for them."""
    path = folder / f"{split}.tsv"
    if form == "plain":
        table(path, ("id", "path"), [(i, m.path) for i, m in media.items()])
    elif form == "plain with times":
        table(path, ("path", "id", "start", "end"), [(m.path, i, m.start, m.end) for i, m in media.items()])
    elif form == "multimodalhugs":
        table(path, HUGS, [(m.path, 0, 0, "__gsg__", "__de__", "another text") for m in media.values()])
    elif form == "wicv2023":
        rows = [(i, m.path, 0, len(np.load(m.path)), "i3d", "asl", "another text") for i, m in media.items()]
        table(path, WICV, rows)
    else:
        into_prefixes(folder / "features", media)
        header = ("video_name", "duration", "caption") if form == "ssvp_slt" else None
        table(path, header, [(f"{i}.mp4", 2.5, "another text") for i in media])


def into_prefixes(folder, media):
    for i, m in media.items():
        ending = "." + m.path.rsplit(".", 1)[1]
        path = folder / i[:5] / f"{i}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(m.path)


@pytest.mark.parametrize("form", ["plain", "multimodalhugs", "wicv2023", "ssvp_slt", "ssvp_slt alone"])
@pytest.mark.parametrize("given", ["a split", "one"])
def test_features_of_a_table_are_those_of_the_folder(corpus, tmp_path, form, given):
    data = corpus()
    wanted, media = batches(data, "features"), located(data, "features")
    if given == "a split":
        for split in SPLITS:
            write_table(form, tmp_path, names_of(split)[-1], media[split])
        place = tmp_path / "{split}.tsv"
    else:
        write_table(form, tmp_path, "all", {i: m for split in SPLITS for i, m in media[split].items()})
        place = tmp_path / "all.tsv"
    found = corpus(features=str(place))
    if data.corpus == "GSL" and form not in ("plain", "wicv2023"):  # an id of it is two folders, and no name of a file
        with pytest.raises((AnnotationError, MissingMediaError), match="line"):
            batches(found, "features")
    else:
        same(batches(found, "features"), wanted, "features")


@pytest.mark.parametrize("kind", ["pose", "frames"])
def test_poses_and_frames_of_a_table(corpus, tmp_path, kind):
    data = corpus()
    wanted, media = batches(data, kind), located(data, kind)
    for split in SPLITS:
        write_table("plain with times", tmp_path, split, media[split])
    found = corpus(**{ARGUMENTS[kind]: str(tmp_path / "{split}.tsv")})
    same(batches(found, kind), wanted, kind)


@pytest.mark.parametrize("corpus", ["Phoenix14T", "CSLDaily", "How2Sign"], indirect=True)
@pytest.mark.parametrize("levels", [True, False])
def test_folders_of_prefixes_need_no_table(corpus, tmp_path, levels):
    data = corpus()
    wanted, media = batches(data, "features"), located(data, "features")
    for split in SPLITS:
        into_prefixes(tmp_path / split if levels else tmp_path, media[split])
    same(batches(corpus(features=str(tmp_path)), "features"), wanted, "features")
    if data.corpus != "How2Sign":  # its frames are parts of videos
        frames, media = batches(data, "frames"), located(data, "frames")
        for split in SPLITS:
            into_prefixes(tmp_path / "videos", media[split])
        same(batches(corpus(frames=str(tmp_path / "videos")), "frames"), frames, "frames")


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_parts_of_one_file(corpus, tmp_path):
    """Offsets are followed: in rows, in seconds, and in milliseconds where a file is one sample's."""
    data = corpus()
    wanted, media = batches(data, "features"), located(data, "features")
    for split in SPLITS:
        arrays = {i: np.load(m.path) for i, m in media[split].items()}
        np.save(tmp_path / f"{split}.npy", np.concatenate(list(arrays.values())))
        ends = np.cumsum([len(a) for a in arrays.values()])
        rows = [
            (i, f"{split}.npy", e - len(a), len(a), "", "", "") for (i, a), e in zip(arrays.items(), ends, strict=True)
        ]
        table(tmp_path / f"rows.{split}.tsv", WICV, rows)
        times = [(i, f"{split}.npy", o / 25, (o + n) / 25) for i, _, o, n, *_ in rows]
        table(tmp_path / f"times.{split}.tsv", ("id", "path", "start", "end"), times)
        cut = [(m.path, 80, 200, "", "", "") for m in media[split].values()]
        table(tmp_path / f"cut.{split}.tsv", HUGS, cut)
    for name in ("rows", "times"):
        same(batches(corpus(features=str(tmp_path / f"{name}.{{split}}.tsv")), "features"), wanted, "features")
    cut = batches(corpus(features=str(tmp_path / "cut.{split}.tsv")), "features")
    for found, whole in zip(cut, wanted, strict=True):
        for a, b in zip(found.features.split(), whole.features.split(), strict=True):
            assert torch.equal(a, b[2:5])


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_parts_past_the_end_are_told_at_setup(corpus, tmp_path):
    media = located(corpus(), "features")["test"]
    (first, one), (second, other) = media.items()
    rows = [(first, one.path, 100_000, 3, "", "", ""), (second, other.path, 0, 3, "", "", "")]
    table(tmp_path / "t.tsv", WICV, rows)
    with pytest.raises(
        MediaError, match=f"1 of 2 segments lie past the end[\\s\\S]*{first} 100000-100003 rows of"
    ) as error:
        corpus(features=str(tmp_path / "t.tsv")).bind(SPECS["features"], ["test"])
    assert one.path in str(error.value)
    table(tmp_path / "t.tsv", WICV, [(first, one.path, 2, 100_000, "", "", ""), rows[1]])
    with pytest.warns(UserWarning, match="1 segments end past the end"):
        data = corpus(features=str(tmp_path / "t.tsv"))
        data.bind(SPECS["features"], ["test"])
    assert data.loader("test").dataset[0].features.shape[0] == len(np.load(one.path)) - 2


def test_samples_that_a_table_lacks_are_missing(corpus, tmp_path):
    media = located(corpus(), "features")
    whole = {i: m for split in SPLITS for i, m in media[split].items()}
    gone = next(iter(media["train"]))
    rows = [(f"{i}x" if i == gone else i, m.path) for i, m in whole.items()]
    table(tmp_path / "t.tsv", ("id", "path"), rows)
    line = [i for i, _ in rows].index(f"{gone}x") + 2
    with pytest.raises(MissingMediaError, match="1 of 3 samples have no features") as error:
        corpus(features=str(tmp_path / "t.tsv")).bind(SPECS["features"], ["train"])
    for part in (str(tmp_path / "t.tsv"), repr(gone).strip("'"), f"{gone}x' (line {line})", "goes on with 2"):
        assert part in str(error.value)
    data = corpus(features=str(tmp_path / "t.tsv"), on_bad_sample="skip")
    data.bind(SPECS["features"], SPLITS)
    assert gone not in data.manifest("train").ids and len(data.manifest("train")) == 2
    table(tmp_path / "t.tsv", ("id", "path"), [("another", "a.npy")])
    with pytest.raises(MissingMediaError, match=r"2 of 2 samples have no features[\s\S]*'another' \(line 2\)"):
        corpus(features=str(tmp_path / "t.tsv")).bind(SPECS["features"], ["test"])


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_a_damaged_table_and_files_that_are_not_there(corpus, tmp_path):
    table(tmp_path / "t.tsv", ("id", "path"), [("a", "../../etc/passwd")])
    with pytest.raises(AnnotationError, match=r"t\.tsv, line 2"):
        corpus(features=str(tmp_path / "t.tsv")).manifest("test")
    ids = corpus().manifest("test").ids
    table(tmp_path / "t.tsv", ("id", "path"), [(i, f"below/{i}.npy") for i in ids])
    with pytest.raises(MissingMediaError, match="2 of 2 samples have no features") as error:
        corpus(features=str(tmp_path / "t.tsv")).bind(SPECS["features"], ["test"])
    assert str(tmp_path / "below" / f"{ids[0]}.npy") in str(error.value)


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_sign_boundaries_are_in_no_table(corpus, tmp_path):
    """They are read whole, and a part that a table names would be lost."""
    table(
        tmp_path / "t.tsv",
        ("id", "path", "start", "end"),
        [(i, f"{i}.npy", 1, 2) for i in corpus().manifest("test").ids],
    )
    spec = InputSpec(modality="features", needs=frozenset({"segments"}))
    with pytest.raises(ConfigError, match="segments"):
        corpus(segments=str(tmp_path / "t.tsv")).bind(spec, ["test"])


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_joined_tables_name_the_same_parts(corpus, tmp_path):
    data = corpus()
    wanted, media = batches(data, "features", ["test"]), located(data, "features")["test"]
    for name, offset in (("a", 1), ("b", 1), ("c", 0)):
        table(tmp_path / f"{name}.tsv", WICV, [(i, m.path, offset, 4, "", "", "") for i, m in media.items()])
    (found,) = batches(corpus(features=[str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")]), "features", ["test"])
    for a, b in zip(found.features.split(), wanted[0].features.split(), strict=True):
        assert torch.equal(a, torch.cat([b[1:5], b[1:5]], 1))
    with pytest.raises(MediaError, match="different parts"):
        corpus(features=[str(tmp_path / "a.tsv"), str(tmp_path / "c.tsv")]).manifest("test")


@pytest.mark.parametrize("corpus", ["CSLDaily"], indirect=True)
def test_posecraft_is_read_from_its_folders(corpus, tmp_path):
    """``poses/<id>.npy`` of (frames, persons, points, numbers) and ``videos/<id>.mp4``; its texts are not read."""
    data = corpus()
    (tmp_path / "metadata.json").write_text("{}")
    (tmp_path / "annotations.csv").write_text("id,split,text,gloss\nx,train,other,OTHER\n")
    rng, poses = np.random.default_rng(0), {}
    frames = batches(data, "frames")
    for kind in ("poses", "videos"):
        (tmp_path / kind).mkdir()
    for split in SPLITS:
        for i, media in located(data, "frames")[split].items():
            poses[i] = rng.normal(size=(7, 1, 75, 3)).astype(np.float32)
            np.save(tmp_path / "poses" / f"{i}.npy", poses[i])
            (tmp_path / "videos" / f"{i}.mp4").symlink_to(media.path)
    found = corpus(poses=str(tmp_path / "poses"), pose_layout="holistic75", frames=str(tmp_path / "videos"))
    same(batches(found, "frames"), frames, "frames")
    for batch in batches(found, "pose"):
        for i, text, pose in zip(batch.id, batch.text, batch.pose.split(), strict=True):
            assert torch.equal(pose, torch.from_numpy(poses[i][:, 0]))
            assert text != "other"


@pytest.mark.parametrize("kind", ["pose", "features", "frames"])
def test_real_files_of_multimodalhugs(kind, shared_data, tmp_path):
    """Poses, features and videos of that project's tests, in a table with its columns."""
    from slt_zoo.data.media_finder import MediaFinder
    from slt_zoo.data.readers import open_reader
    from slt_zoo.types import Sample

    folder, ending, lengths = {
        "pose": ("poses", "pose", (22, 16)),
        "features": ("features", "npy", (23, 18)),
        "frames": ("video", "mp4", (22, 16)),
    }[kind]
    files = [shared_data / folder / "multimodalhugs" / f"sample_0{k}.{ending}" for k in (1, 2)]
    table(tmp_path / "whole.tsv", HUGS, [(str(f), 0, 0, "__asl__", "__en__", "") for f in files])
    table(tmp_path / "part.tsv", HUGS, [(str(f), 250, 500, "__asl__", "__en__", "") for f in files])
    finder = MediaFinder(24.0 if kind == "features" else None)
    for k, length in enumerate(lengths):
        sample = Sample(f"sample_0{k + 1}", "test", "", "en", "ase")
        for name, first, count in (("whole", 0, length), ("part", 6, 6)):
            media = finder.find(kind, tmp_path / f"{name}.tsv", sample)
            reader = open_reader(kind, media, sample_id=sample.id)
            assert reader.num_frames == count
            field = reader.read(torch.arange(count))[kind]
            whole = open_reader(kind, finder.find(kind, tmp_path / "whole.tsv", sample), sample_id=sample.id)
            assert torch.equal(field, whole.read(torch.arange(first, first + count))[kind])


def test_the_real_index_beside_them_names_no_files(shared_data):
    from slt_zoo.data.media_tables import find_table

    path = shared_data / "poses" / "multimodalhugs" / "index.tsv"
    with pytest.raises(AnnotationError, match=r"not a table of media[\s\S]*line 1"):
        find_table(path, "test", "pose", (".pose",))

"""Media in every container that a data module finds, for every family of corpora, on simulated annotation."""

from __future__ import annotations

import gzip
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import slt_zoo
from slt_zoo import InputSpec
from slt_zoo.errors import ConfigError, MediaError, MissingMediaError
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.layouts import LAYOUTS, layout_of
from slt_zoo.synthetic.media import write_frames, write_video
from slt_zoo.testing import simulated
from slt_zoo.types import SPLITS

__all__ = ["simulated"]  # a fixture

CORPORA = ("Phoenix14T", "CSLDaily", "How2Sign", "GSL")
FEATURES, POSE, FRAMES = (InputSpec(modality=kind) for kind in ("features", "pose", "frames"))
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=CORPORA)
def corpus(request, simulated):
    """Makes a data module on simulated annotation without media, with arguments."""
    root = simulated(request.param, samples=(3, 2, 2), seed=3, render=())
    return lambda **arguments: getattr(slt_zoo, request.param)(str(root), **arguments)


def vectors(data):
    """Features ``(T, 6)`` by split and id."""
    rng = np.random.default_rng(1)
    return {
        split: {i: rng.standard_normal((4 + k, 6)).astype(np.float32) for k, i in enumerate(data.manifest(split).ids)}
        for split in SPLITS
    }


def a_file_a_sample(folder, made, write, levels=True, ending=""):
    for split in SPLITS:
        for i, array in made[split].items():
            path = folder / (split if levels else "") / f"{i}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, array)


def npy(path, array):
    np.save(path, array)


def tensor_file(path, array):
    save_file({"x": torch.from_numpy(array)}, path)


def torch_file(path, array):
    torch.save(torch.from_numpy(array), path)


def signs(arrays, split, zipped=True):
    """A pickle as signjoey reads them."""
    rows = [{"name": f"{split}/{i}", "gloss": "A", "text": "a", "sign": torch.from_numpy(a)} for i, a in arrays.items()]
    return gzip.compress(pickle.dumps(rows)) if zipped else pickle.dumps(rows)


def same(data, made, spec=FEATURES):
    data.bind(spec, SPLITS)
    for split in SPLITS:
        dataset = data.loader(split).dataset
        assert data.manifest(split).ids == list(made[split]), "nobody is left out"
        for k, array in enumerate(made[split].values()):
            np.testing.assert_array_equal(dataset[k].features.numpy(), array)


@pytest.mark.parametrize("levels", [True, False])
@pytest.mark.parametrize(
    ("ending", "write"),
    [(".npy", npy), (".safetensors", tensor_file), (".pt", torch_file), (".pth", torch_file)],
)
def test_features_in_a_file_a_sample(corpus, tmp_path, ending, write, levels):
    made = vectors(corpus())
    a_file_a_sample(tmp_path, made, write, levels, ending)
    same(corpus(features=str(tmp_path)), made)


@pytest.mark.parametrize("corpus", ["Phoenix14T", "CSLDaily", "How2Sign"], indirect=True)
def test_a_postfix_that_all_files_share(corpus, tmp_path):
    made = vectors(corpus())
    a_file_a_sample(tmp_path, made, npy, ending="_overlap-8.npy")
    same(corpus(features=str(tmp_path)), made)
    first = next(iter(made["test"]))
    npy(tmp_path / "test" / f"{first}_other.npy", made["test"][first])
    data = corpus(features=str(tmp_path))
    with pytest.raises(MissingMediaError, match="2 of 2 samples have no features"):
        data.bind(FEATURES, ["test"])  # which of the two it is would be a guess


def test_a_missing_file_has_its_near_ones_named(corpus, tmp_path):
    """Also those of another container, in a folder of mixed ones."""
    data = corpus(poses=str(tmp_path))
    gone, other, *_ = data.manifest("train").ids
    for sample, ending in ((other, ".pose"), (gone, "_v2.npy"), (gone, ".txt")):
        path = tmp_path / f"{sample}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(MissingMediaError, match="samples have no pose") as error:
        data = corpus(poses=str(tmp_path))
        data.bind(POSE, ["train"])
    shown = str(error.value).partition("similar names there: ")[2]
    name = gone.rpartition("/")[2]
    assert f"{name}.txt" in shown and f"{name}_v2.npy" in shown and f"missing for {gone}" in str(error.value)


def in_one_file(made, path, container):
    """All samples of a split in a file."""
    arrays = made if isinstance(made, list) else [made]
    whole = {i: a for part in arrays for i, a in part.items()}
    if container == "pickle":
        path.write_bytes(signs(whole, "train"))
    elif container == "plain pickle":
        path.write_bytes(signs(whole, "dev", zipped=False))
    else:
        tensors = {f"train/{i}": torch.from_numpy(a) for i, a in whole.items()}
        save_file(tensors, path) if container == "safetensors" else torch.save(tensors, path)


FILES = [
    ("phoenix14t.pami0.{}", "pickle"),
    ("{}.pkl", "pickle"),
    ("{}.pkl", "plain pickle"),
    ("{}.pickle", "plain pickle"),
    ("{}.gz", "pickle"),
    ("{}.safetensors", "safetensors"),
    ("{}.pt", "torch"),
]


@pytest.mark.parametrize(("name", "container"), FILES)
@pytest.mark.parametrize("given", ["folder", "file", "val"])
def test_features_of_a_split_in_one_file(corpus, tmp_path, name, container, given):
    made = vectors(corpus())
    for split in SPLITS:
        in_one_file(
            made[split], tmp_path / name.format("val" if (given, split) == ("val", "dev") else split), container
        )
    same(corpus(features=str(tmp_path / name.format("{split}") if given == "file" else tmp_path)), made)


@pytest.mark.parametrize("container", ["pickle", "safetensors", "torch"])
def test_features_of_the_corpus_in_one_file(corpus, tmp_path, container):
    made = vectors(corpus())
    path = tmp_path / {"pickle": "all.pkl", "safetensors": "all.safetensors", "torch": "all.pt"}[container]
    in_one_file(list(made.values()), path, container)
    same(corpus(features=str(path)), made)


def wider(made, columns):
    """Further features of the same frames."""
    rng = np.random.default_rng(columns)
    return {
        split: {i: rng.standard_normal((len(a), columns)).astype(np.float32) for i, a in arrays.items()}
        for split, arrays in made.items()
    }


def joined(*parts):
    return {
        split: {i: np.concatenate([part[split][i] for part in parts], axis=1) for i in parts[0][split]}
        for split in SPLITS
    }


def test_features_of_several_places_are_joined_along_the_width(corpus, tmp_path):
    first = vectors(corpus())
    second, third = wider(first, 2), wider(first, 5)
    places = [str(tmp_path / "a.pami0.{split}"), str(tmp_path / "b"), str(tmp_path / "c.pt")]
    for split in SPLITS:
        backwards = dict(reversed(first[split].items()))  # by name, whatever the order in a file
        in_one_file(backwards, tmp_path / f"a.pami0.{split}", "pickle")
    a_file_a_sample(tmp_path / "b", second, npy, ending=".npy")
    in_one_file(list(third.values()), tmp_path / "c.pt", "torch")
    same(corpus(features=places), joined(first, second, third))
    same(corpus(features=places[::-1]), joined(third, second, first))
    same(corpus(features=places[1:2]), second)


def test_what_one_of_the_joined_places_lacks_is_missing(corpus, tmp_path):
    made = vectors(corpus())
    gone, *_ = made["train"]
    a_file_a_sample(tmp_path / "a", made, npy, ending=".npy")
    a_file_a_sample(tmp_path / "b", made, npy, ending=".npy")
    (tmp_path / "b/train" / f"{gone}.npy").unlink()
    places = [str(tmp_path / "a"), str(tmp_path / "b")]
    with pytest.raises(MissingMediaError, match="train: 1 of 3 samples have no features") as error:
        corpus(features=places).bind(FEATURES, SPLITS)
    assert gone in str(error.value) and str(tmp_path / "b") in str(error.value)
    del made["train"][gone]
    same(corpus(features=places, on_bad_sample="skip"), joined(made, made))


def test_joined_features_of_different_lengths_are_refused(corpus, tmp_path):
    made = vectors(corpus())
    a_file_a_sample(tmp_path / "a", made, npy, ending=".npy")
    a_file_a_sample(tmp_path / "b", {s: {i: a[1:] for i, a in made[s].items()} for s in SPLITS}, npy, ending=".npy")
    data = corpus(features=[str(tmp_path / "a"), str(tmp_path / "b")])
    data.bind(FEATURES, SPLITS)
    with pytest.raises(MediaError, match="joined have different lengths") as error:
        data.loader("train").dataset[0]
    first, *_ = made["train"]
    assert all(part in str(error.value) for part in (first, "(4, 6)", "(3, 6)", str(tmp_path / "b")))


@pytest.mark.parametrize("places", [[], ["a", "a"]])
def test_places_that_cannot_be_joined(corpus, places):
    with pytest.raises(ConfigError, match="places to be joined along the width, each once"):
        corpus(features=places)


def test_a_place_that_is_not_there_is_named(corpus, tmp_path):
    a_file_a_sample(tmp_path / "a", vectors(corpus()), npy, ending=".npy")
    with pytest.raises(MissingMediaError, match="no-such-folder is no folder here"):
        corpus(features=[str(tmp_path / "a"), "no-such-folder"]).bind(FEATURES, SPLITS)


@pytest.mark.parametrize("container", ["pickle", "safetensors", "torch"])
def test_a_sample_that_the_file_lacks_is_missing(corpus, tmp_path, container):
    made = vectors(corpus())
    gone, *_ = made["train"]
    del made["train"][gone]
    ending = {"pickle": "pkl", "safetensors": "safetensors", "torch": "pt"}[container]
    for split in SPLITS:
        in_one_file(made[split], tmp_path / f"{split}.{ending}", container)
    with pytest.raises(MissingMediaError, match="train: 1 of 3 samples have no features") as error:
        corpus(features=str(tmp_path)).bind(FEATURES, SPLITS)
    assert gone in str(error.value)
    same(corpus(features=str(tmp_path), on_bad_sample="skip"), made)


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
class TestFilesThatCannotBeUsed:
    def test_several_files_of_a_split_are_a_question(self, corpus, tmp_path):
        made = vectors(corpus())
        for k in range(3):
            (tmp_path / f"phoenix14t.pami{k}.test").write_bytes(signs(made["test"], "test"))
        with pytest.raises(ConfigError, match="3 files of features for test: which one") as error:
            corpus(features=str(tmp_path)).manifest("test")
        assert f"data.features='{tmp_path}/phoenix14t.pami0.{{split}}'" in str(error.value)

    def test_an_annotation_is_no_file_of_features(self, corpus, tmp_path):
        rows = {"test/x": {"name": "test/x", "gloss": "A", "text": "a", "length": 3, "imgs_path": []}}
        (tmp_path / "labels.test").write_bytes(gzip.compress(pickle.dumps(rows)))
        with pytest.raises(MediaError, match="not a pickle of features") as error:
            corpus(features=str(tmp_path)).manifest("test")
        assert "labels.test" in str(error.value)

    def test_a_pickle_runs_nothing(self, corpus, tmp_path):
        class Evil:
            def __reduce__(self):
                return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

        (tmp_path / "test.pkl").write_bytes(pickle.dumps([{"name": "x", "sign": Evil()}]))
        with pytest.raises(MediaError, match="refused"):
            corpus(features=str(tmp_path)).manifest("test")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", ["one.npy", "one.pt", "one.txt"])
    def test_a_file_of_one_sample(self, corpus, tmp_path, name):
        writers = {"one.npy": npy, "one.pt": torch_file, "one.txt": lambda path, _: path.write_text("x")}
        writers[name](tmp_path / name, np.ones((4, 6), np.float32))
        with pytest.raises(MediaError, match="many samples"):
            corpus(features=str(tmp_path / name)).manifest("test")

    def test_a_path_that_is_not_there(self, corpus, tmp_path):
        for name in ("none", "none.{split}"):
            with pytest.raises(MissingMediaError, match="samples have no features") as error:
                corpus(features=str(tmp_path / name)).bind(FEATURES, ["test"])
            assert "correct the path" in str(error.value)


# Stride and window.


@pytest.mark.parametrize("left_out", [0, 1])
def test_stride_and_window_can_be_stated(corpus, tmp_path, left_out):
    """Features at a quarter of the rate beside sign boundaries a frame; the last window may be left out."""
    labels = {s.id: np.load(s.media["segments"].path) for s in corpus(segments="labels").manifest("test")}
    for i, row in labels.items():
        path = tmp_path / f"{i}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.ones((len(row) // 4 if left_out else -(-len(row) // 4), 6), np.float32))
    named = {"features": str(tmp_path), "segments": "labels"}
    spec = InputSpec(modality="features", needs=frozenset({"segments"}))
    data = corpus(**named, feature_stride=4, feature_window=8)
    data.bind(spec, ["test"])
    media = data.manifest("test")[0].media
    assert (media["features"].stride, media["features"].window) == (4, 8)
    assert media["segments"].stride is None, "boundaries are those of video frames"
    dataset = data.loader("test").dataset
    for k, row in enumerate(labels.values()):
        clip = dataset[k]
        assert clip.fps == (None if data.fps is None else data.fps / 4) and len(clip.labels) == len(row)
    data = corpus(**named)
    data.bind(spec, ["test"])
    with pytest.raises(MediaError, match="different lengths"):
        data.loader("test").dataset[0]


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_what_cannot_be_a_stride(corpus, tmp_path):
    for wrong in ({"feature_stride": 0}, {"feature_window": -1}):
        with pytest.raises(ConfigError, match="at least 1"):
            corpus(features=str(tmp_path), **wrong)
    with pytest.raises(ConfigError, match="none are named"):
        corpus(feature_stride=4)


# Frames.


def pictures(ids):
    """Grey images by id, as many as their number and each of its own grey."""
    return {i: [np.full((32, 48, 3), 40 + 30 * k, np.uint8)] * (3 + k) for k, i in enumerate(ids)}


def seen(data, made, rate):
    data.bind(FRAMES, SPLITS)
    for split in SPLITS:
        dataset = data.loader(split).dataset
        for k, images in enumerate(made[split].values()):
            clip = dataset[k]
            assert clip.frames.shape == (len(images), 3, 32, 48) and clip.fps == rate
            assert abs(clip.frames.float().mean().item() - images[0].mean()) < 4


@pytest.mark.parametrize("form", ["videos", "images"])
def test_frames_that_are_named(corpus, tmp_path, form):
    made = {split: pictures(corpus().manifest(split).ids) for split in SPLITS}
    if form == "videos":
        a_file_a_sample(tmp_path, made, lambda path, images: write_video(path, images, 12.5), ending=".mp4")
    else:
        a_file_a_sample(tmp_path, made, lambda path, images: write_frames(path, "{:06d}.png", images))
    data = corpus(frames=str(tmp_path))
    seen(data, made, 12.5 if form == "videos" else data.fps)


def test_frames_that_are_named_and_not_there(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingMediaError) as error:
        corpus(frames="mine").bind(FRAMES, ["train"])
    assert f"data.frames=mine is no folder here; looked for {corpus().corpus_folder()}" in str(error.value)
    assert str(tmp_path / "mine") in str(error.value)


USUAL = {
    "Phoenix14T": "{root}/videos/{split}/{id}.mp4",
    "CSLDaily": "{root}/sentence-crop/{id}.mp4",
    "GSL": "{root}/any/level/{id}.mp4",
}


@pytest.mark.parametrize("name", USUAL)
def test_videos_in_their_usual_places(name, tmp_path):
    root = simulate(name, tmp_path, (3, 2, 2), render=())
    make = getattr(slt_zoo, name)
    made = {split: pictures(make(str(root)).manifest(split).ids) for split in SPLITS}
    for split in SPLITS:
        for i, images in made[split].items():
            path = make(str(root)).corpus_folder() / USUAL[name].format(root=".", split=split, id=i)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, images, 20.0)
    seen(make(str(root)), made, 20.0)


def test_resized_frames_of_phoenix(tmp_path, recwarn):
    root = simulate("Phoenix14T", tmp_path, (3, 2, 2), render=())
    inside = slt_zoo.Phoenix14T(str(root)).corpus_folder()
    made = {split: pictures(slt_zoo.Phoenix14T(str(root)).manifest(split).ids) for split in SPLITS}

    def write(folder):
        a_file_a_sample(inside / folder, made, lambda path, images: write_frames(path, "{:06d}.png", images))

    write("features/fullFrame-256x256px")
    seen(slt_zoo.Phoenix14T(str(root)), made, 25.0)
    assert not [w for w in recwarn if "chooses another" in str(w.message)]
    write("features/fullFrame-32x48px")
    with pytest.warns(UserWarning, match="frames are read from .*256x256px; data.frames chooses another"):
        slt_zoo.Phoenix14T(str(root)).manifest("dev")
    write("features/fullFrame-210x260px")
    data = slt_zoo.Phoenix14T(str(root))
    assert "fullFrame-210x260px" in data.manifest("dev")[0].media["frames"].path, "the official one goes first"
    data = slt_zoo.Phoenix14T(str(root), frames="fullFrame-32x48px")
    assert "fullFrame-32x48px" in data.manifest("dev")[0].media["frames"].path


# Poses.


def points(data, count):
    rng = np.random.default_rng(2)
    return {
        split: {i: rng.uniform(0.1, 0.9, (5 + k, count, 3)) for k, i in enumerate(data.manifest(split).ids)}
        for split in SPLITS
    }


def poses_same(data, made, count, dims=2):
    data.bind(POSE, SPLITS)
    for split in SPLITS:
        dataset = data.loader(split).dataset
        assert len(dataset) == len(made[split])
        for k, array in enumerate(made[split].values()):
            clip = dataset[k]
            np.testing.assert_allclose(clip.pose.numpy(), array[..., :dims], rtol=1e-4)
            assert clip.pose.shape[1] == len(clip.points) == count and clip.fps == data.fps


@pytest.mark.parametrize("levels", [True, False])
def test_poses_as_uni_sign_has_them(corpus, tmp_path, levels):
    made = points(corpus(), 133)

    def write(path, array):
        frames = [{"keypoints": a[None, :, :2], "scores": a[None, :, 2]} for a in array]
        path.write_bytes(pickle.dumps({key: [f[key] for f in frames] for key in ("keypoints", "scores")}))

    a_file_a_sample(tmp_path, made, write, levels, ".pkl")
    poses_same(corpus(poses=str(tmp_path)), made, 133)


@pytest.mark.parametrize("name", ["whole.pkl", "{split}.pkl", "folder"])
def test_poses_as_slrt_has_them(corpus, tmp_path, name):
    made = points(corpus(), 133)
    by_split = {s: {f"{s}/{i}": {"keypoints": a} for i, a in made[s].items()} for s in SPLITS}
    if name == "whole.pkl":
        (tmp_path / name).write_bytes(pickle.dumps({i: a for s in SPLITS for i, a in by_split[s].items()}))
    else:
        for split in SPLITS:
            (tmp_path / f"{split}.pkl").write_bytes(gzip.compress(pickle.dumps(by_split[split])))
    poses_same(corpus(poses=str(tmp_path if name == "folder" else tmp_path / name)), made, 133)


@pytest.mark.parametrize("ending", [".skels", ".skels.gz"])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_skels(corpus, tmp_path, ending, given):
    made = points(corpus(), 50)
    for split in SPLITS:
        lines = [
            " ".join(f"{x:.6f}" for t, a in enumerate(array) for x in (*a.ravel(), t / len(array)))
            for array in made[split].values()
        ]
        text = ("\n".join(lines) + "\n").encode()
        (tmp_path / f"{split}{ending}").write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
        (tmp_path / f"{split}.files").write_text("".join(f"{split}/{i}\n" for i in made[split]))
    poses_same(corpus(poses=str(tmp_path / ("{split}" + ending) if given == "file" else tmp_path)), made, 50, dims=3)


@pytest.mark.parametrize("levels", [True, False])
def test_folders_of_openpose(corpus, tmp_path, levels):
    made = points(corpus(), 137)
    parts = {"pose": (0, 25), "face": (25, 95), "hand_left": (95, 116), "hand_right": (116, 137)}

    def write(path, array):
        path.mkdir()
        for t, a in enumerate(array):
            person = {f"{part}_keypoints_2d": a[i:j].ravel().tolist() for part, (i, j) in parts.items()}
            (path / f"x_{t:012d}_keypoints.json").write_text(json.dumps({"people": [person]}))

    a_file_a_sample(tmp_path, made, write, levels)
    poses_same(corpus(poses=str(tmp_path)), made, 137)


@pytest.mark.parametrize("corpus", ["Phoenix14T"], indirect=True)
def test_poses_of_one_video_are_not_those_of_a_corpus(corpus, tmp_path):
    entry = {"keypoints": [np.ones((1, 133, 2))], "scores": [np.ones((1, 133))]}
    (tmp_path / "one.pkl").write_bytes(pickle.dumps(entry))
    (tmp_path / "one.txt").write_text("x")
    for name, message in (("one.pkl", "poses of one video"), ("one.txt", "not a file of poses of many")):
        with pytest.raises(MediaError, match=message):
            corpus(poses=str(tmp_path / name)).manifest("test")


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_kinds_are_simulated_and_found_together(name, tmp_path):
    kinds = ("frames", "video", "pose", "features")
    root = simulate(name, tmp_path, (3, 2, 2), seed=3, render=kinds, frame_size=(64, 48))
    assert {"labels", *kinds} <= set(layout_of(name).places)
    data = getattr(slt_zoo, name)(str(root), features="simulated", segments="labels")
    assert set(data.manifest("test")[0].media) == {"frames", "pose", "features", "segments"}
    for spec in (FEATURES, POSE, FRAMES):
        data.bind(spec, SPLITS)
        assert [i for batch in data.loader("test") for i in batch.id] == data.manifest("test").ids

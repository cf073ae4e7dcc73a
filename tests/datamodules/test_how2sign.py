"""How2Sign: the real annotation, the two cuts, the two views, and damage of its files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from slt_zoo import How2Sign, InputSpec
from slt_zoo.datamodules.how2sign import NAME, repair_mojibake
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError, MissingMediaError
from slt_zoo.synthetic import simulate
from slt_zoo.testing import CorpusContract, simulated
from slt_zoo.types import SPLITS

__all__ = ["simulated"]  # a fixture

REALIGNED = ["VIDEO_ID", "VIDEO_NAME", "SENTENCE_ID", "SENTENCE_NAME", "START_REALIGNED", "END_REALIGNED", "SENTENCE"]
FRAMES = InputSpec(modality="frames")

pytestmark = pytest.mark.filterwarnings("ignore:.*the release has", "ignore:.*also occur in train")


class TestContract(CorpusContract):
    data_class: ClassVar = "How2Sign"


class TestContractOfPartsOfVideos(CorpusContract):
    data_class: ClassVar = "How2Sign"
    modality: ClassVar = "frames"
    simulation: ClassVar = {"samples": (3, 2, 4), "seed": 3, "render": ("video",), "frame_size": (64, 48)}


class TestContractOfClips(TestContractOfPartsOfVideos):
    data_arguments: ClassVar = {"cut": "clips"}


class TestContractOfImages(TestContractOfClips):
    simulation: ClassVar = {**TestContractOfPartsOfVideos.simulation, "render": ("frames",)}


class TestContractOfFeatures(CorpusContract):
    data_class: ClassVar = "How2Sign"
    modality: ClassVar = "features"
    data_arguments: ClassVar = {"features": "simulated"}
    simulation: ClassVar = {"samples": (8, 4, 4), "seed": 3, "render": ("features",)}


@pytest.mark.parametrize("fps", [24, 29.97, 60])
def test_simulated_videos_hold_the_clips_at_the_annotated_times(tmp_path, fps):
    root = simulate("How2Sign", tmp_path, (4, 1, 6), seed=1, render=("video",), frame_size=(64, 48), fps=fps)
    videos, pictures = {}, {}
    for cut in ("realigned", "clips"):
        data = How2Sign(str(root), cut=cut)
        data.bind(FRAMES, ["test"])
        dataset = data.loader("test").dataset
        pictures[cut] = [dataset[i].frames.float() for i in range(len(dataset))]
        videos[cut] = {s.media["frames"].path for s in data.manifest("test")}
    assert len(videos["realigned"]) < len(videos["clips"]) == 6
    for part, clip in zip(pictures["realigned"], pictures["clips"], strict=True):
        assert len(part) == len(clip)
        apart = [(part[a : len(part) - b] - clip[b : len(clip) - a]).abs().mean() for a, b in ((0, 0), (0, 1), (1, 0))]
        assert apart[0] < 6 and apart[0] == min(apart), "the same pictures, none earlier and none later"


# The real files.


def test_the_real_annotation_is_whole(shared_data, recwarn):
    root = shared_data / "how2sign"
    data = How2Sign(str(root))
    for split, name in (("dev", "val"), ("test", "test")):
        (path,) = root.rglob(f"how2sign_realigned_{name}.csv")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        manifest = data.manifest(split)
        assert len(manifest) == len(rows) > 1000
        for sample, row in zip(manifest, rows, strict=True):
            assert (sample.id, sample.text, sample.references) == (
                row["SENTENCE_NAME"],
                row["SENTENCE"],
                (row["SENTENCE"],),
            )
            times = float(row["START_REALIGNED"]), float(row["END_REALIGNED"])
            assert (sample.meta["start"], sample.meta["end"]) == times and sample.gloss is None
            assert sample.signer == NAME.fullmatch(row["SENTENCE_NAME"])[3]
    assert not [w for w in recwarn if "release" in str(w.message)], "counts and hashes are those of the release"


@pytest.mark.parametrize(("split", "count"), [("dev", 2), ("test", 23)])
def test_real_mojibake_is_counted_and_repaired_when_asked(shared_data, split, count):
    root = str(shared_data / "how2sign")
    with pytest.warns(UserWarning, match=f"{split}: {count} texts hold UTF-8 .* kept"):
        kept = How2Sign(root).manifest(split)
    with pytest.warns(UserWarning, match=f"{split}: {count} texts .* references were changed"):
        repaired = How2Sign(root, repair_text=True).manifest(split)
    changed = [(a, b) for a, b in zip(kept, repaired, strict=True) if a.text != b.text]
    assert len(changed) == count and all(b.references == (b.text,) for _, b in changed)
    assert all("\u2019" in b.text or "\u2018" in b.text or b.text.isprintable() for _, b in changed)


def test_real_clips_meet_their_samples(shared_data, tmp_path):
    clips = shared_data / "video/how2sign_rgb_front_clips"
    rows = [line.split("\t") for line in (clips / "index.tsv").read_text("utf-8").splitlines()[1:]]
    sentences = [(name, name[:11] + "-5-rgb_front", "", "", text) for name, text in rows]
    write(tmp_path / "how2sign_train.csv", sentences, original=True)
    (tmp_path / "clips").symlink_to(clips)
    data = How2Sign(str(tmp_path), cut="clips")
    data.bind(FRAMES, ["train"])
    assert all(Path(sample.media["frames"].path).is_file() for sample in data.manifest("train"))


# Small copies.

VIDEOS = {"train": "abcdefghijk", "dev": "-bcdefghijk", "test": "_bcdefghijk"}


def sentences(split):
    video = VIDEOS[split]
    return [
        (f"{video}_0-5-rgb_front", f"{video}-5-rgb_front", "0.5", "2.25", f'He said "{split}".'),
        (f"{video}_1_2-5-rgb_front", f"{video}-5-rgb_front", "2.25", "3", f"Another {split}, again"),
    ]


def write(path, rows, original=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = [name.removesuffix("_REALIGNED") if original else name for name in REALIGNED]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows([n[:11], v, n.split("-rgb")[0], n, s, e, t] for n, v, s, e, t in rows)


def official(folder, split):
    return folder / "sentence_level" / ("val" if split == "dev" else split)


def text_file(folder, split, original=False):
    name = "val" if split == "dev" else split
    below = official(folder, split) / "text/en/raw_text"
    return below / f"how2sign_{name}.csv" if original else below / f"re_aligned/how2sign_realigned_{name}.csv"


@pytest.fixture
def corpus(tmp_path):
    """Two sentences a split in the tree of the download script, both views."""
    root = tmp_path / "How2Sign"
    for split in SPLITS:
        write(text_file(root, split), sentences(split))
        for view in ("front", "side"):
            clips = official(root, split) / f"rgb_{view}/raw_videos"
            videos = root / "video_level" / official(root, split).name / f"rgb_{view}/raw_videos"
            json = official(root, split) / f"rgb_{view}/features/openpose_output/json"
            for folder in (clips, videos, json):
                folder.mkdir(parents=True)
            for name, video, *_ in sentences(split):
                name, video = name.replace("front", view), video.replace("front", view)
                (clips / f"{name}.mp4").touch()
                (videos / f"{video}.mp4").touch()
                (json / name).mkdir()
                (json / name / f"{name}_000000000000_keypoints.json").touch()
    return root


@pytest.mark.parametrize("view", ["front", "side"])
def test_parts_of_the_full_videos(corpus, view):
    data = How2Sign(str(corpus), view=view)
    data.bind(FRAMES, SPLITS)
    for split in SPLITS:
        for sample, row in zip(data.manifest(split), sentences(split), strict=True):
            media = sample.media["frames"]
            video = f"{VIDEOS[split]}-5-rgb_{view}.mp4"
            assert Path(media.path).name == video and Path(media.path).is_file() and "video_level" in media.path
            assert (media.start, media.end, media.fps) == (float(row[2]), float(row[3]), None)
            assert (sample.id, sample.text, sample.signer) == (row[0], row[4], "5")


@pytest.mark.parametrize("view", ["front", "side"])
def test_clips_and_key_points(corpus, view):
    with pytest.warns(UserWarning, match="clips are joined with re-aligned texts"):
        sample = How2Sign(str(corpus), cut="clips", view=view).manifest("val")[1]
    frames, pose = sample.media["frames"], sample.media["pose"]
    name = f"-bcdefghijk_1_2-5-rgb_{view}"
    assert Path(frames.path).name == f"{name}.mp4" and (frames.start, frames.end) == (None, None)
    assert Path(pose.path).name == name and Path(pose.path).is_dir() and pose.layout == "openpose137"


def test_clips_take_the_original_texts_where_they_are(corpus, recwarn):
    for split in SPLITS:
        write(text_file(corpus, split, original=True), sentences(split)[:1], original=True)
    assert len(How2Sign(str(corpus), cut="clips").manifest("dev")) == 1
    assert not [w for w in recwarn if "re-aligned" in str(w.message) or "release" in str(w.message)]
    assert len(How2Sign(str(corpus)).manifest("dev")) == 2


def test_shipped_key_points_and_re_aligned_texts_are_told(corpus, tmp_path):
    with pytest.warns(UserWarning, match="key points follow the clips"):
        How2Sign(str(corpus)).bind(InputSpec(modality="pose"), ["dev"])
    (tmp_path / "own/val").mkdir(parents=True)
    for name, *_ in sentences("dev"):
        np.save(tmp_path / f"own/val/{name}.npy", np.zeros((3, 137, 3)))
    data = How2Sign(str(corpus), poses=str(tmp_path / "own"), pose_layout="openpose137")
    data.bind(InputSpec(modality="pose"), ["dev"])
    assert data.manifest("dev")[0].media["pose"].path.endswith(f"{sentences('dev')[0][0]}.npy")


def test_parts_that_lie_anywhere(tmp_path):
    for split in SPLITS:
        write(tmp_path / f"csv/how2sign_realigned_{'val' if split == 'dev' else split}.csv", sentences(split))
        folder = tmp_path / f"{split}_raw"
        folder.mkdir()
        (folder / f"{VIDEOS[split]}-5-rgb_front.mp4").touch()
    How2Sign(str(tmp_path)).bind(FRAMES, SPLITS)


def test_features_of_a_folder(corpus):
    (corpus / "features/i3d/train").mkdir(parents=True)
    for name, *_ in sentences("train"):
        np.save(corpus / f"features/i3d/train/{name}.npy", np.ones((4, 2), np.float32))
    data = How2Sign(str(corpus), features="i3d")
    data.bind(InputSpec(modality="features"), ["train"])
    assert next(iter(data.loader("train"))).features.values.shape == (8, 2)


@pytest.mark.parametrize("name", ["{sentence}_{start}", "{video}_{start}", "{id}_{start}"])
@pytest.mark.parametrize("postfix", ["", "_s2wrapping"])
def test_features_that_are_named_by_their_start(corpus, name, postfix):
    made = {}
    for split in SPLITS:
        folder = corpus / "features/vit" / split
        folder.mkdir(parents=True)
        for k, (sentence, video, *_, start, _, _) in enumerate(sentences(split)):
            made[sentence] = np.full((4 + k, 2), k + 1, np.float32)
            stem = name.format(sentence=sentence, video=video, id=sentence[:11], start=float(start))
            np.save(folder / f"{stem}{postfix}.npy", made[sentence])
    data = How2Sign(str(corpus), features="vit")
    data.bind(InputSpec(modality="features"), SPLITS)
    for split in SPLITS:
        for sample, clip in zip(data.manifest(split), data.loader(split).dataset, strict=True):
            np.testing.assert_array_equal(clip.features.numpy(), made[sample.id])


def test_a_start_that_two_sentences_share_names_neither(corpus):
    path = text_file(corpus, "train")
    path.write_text(path.read_text("utf-8").replace("\t2.25\t3\t", "\t0.5\t3\t"), encoding="utf-8")
    (corpus / "features/vit/train").mkdir(parents=True)
    np.save(corpus / "features/vit/train/abcdefghijk-5-rgb_front_0.5.npy", np.ones((4, 2), np.float32))
    with pytest.raises(MissingMediaError, match="2 of 2 samples have no features") as error:
        How2Sign(str(corpus), features="vit").bind(InputSpec(modality="features"), ["train"])
    assert "no folder" not in str(error.value), "it is there, below the corpus's features"


def test_some_clips_are_missing(corpus):
    (official(corpus, "train") / "rgb_front/raw_videos/abcdefghijk_0-5-rgb_front.mp4").unlink()
    with pytest.warns(UserWarning), pytest.raises(MissingMediaError, match="train: 1 of 2 samples have no frames") as e:
        How2Sign(str(corpus), cut="clips").bind(FRAMES, ["train"])
    assert "abcdefghijk_0-5-rgb_front" in str(e.value) and "<SENTENCE_NAME>.mp4" in str(e.value)


def test_no_glosses(corpus):
    with pytest.raises(ConfigError, match="needs gloss; How2Sign dev"):
        How2Sign(str(corpus)).bind(InputSpec(modality="none", needs=frozenset({"gloss"})), ["dev"])


# Damage.


def change(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2.25\t3\t", "2.25\tthree\t", "end is no time"),
        ("2.25\t3\t", "3\t2.25\t", "line 3: the times are no segment"),
        ("2.25\t3\t", "-1\t2.25\t", "line 3: the times are no segment"),
        ("2.25\t3\t", "2.25\t\t", "1 rows have none"),
        ("Another dev", "Another\tdev", "line 3: fields are missing or surplus"),
        ("_1_2-5-rgb_front", "_0-5-rgb_front", "occurs on lines 2 and 3, with different content"),
        ("_1_2-5-rgb_front", "_1_2-five", "line 3: .* is no SENTENCE_NAME"),
        ("Another dev", '"Another dev', "a field in quotes is damaged"),
        ("SENTENCE\n", "TRANSLATION\n", "header has 7 columns"),
        ("_REALIGNED", "", "all rows have none"),
    ],
)
def test_damage_names_file_and_line(corpus, old, new, message):
    path = text_file(corpus, "dev")
    change(path, old, new)
    with pytest.raises(AnnotationError, match=message) as error:
        How2Sign(str(corpus)).manifest("dev")
    assert "line" in str(error.value) or str(path) in str(error.value)


def test_two_stray_quotes_do_not_swallow_the_rows_between(corpus):
    path = text_file(corpus, "dev")
    change(path, '"He said ""dev""."', '"He said dev.')
    change(path, "Another dev, again", 'again"')
    with pytest.raises(AnnotationError, match="line 2: a field in quotes is damaged, or goes over lines") as error:
        How2Sign(str(corpus)).manifest("dev")
    assert str(path) in str(error.value)


def test_a_row_that_stands_twice_is_kept_once(corpus):
    write(text_file(corpus, "dev"), [*sentences("dev"), sentences("dev")[0]])
    with pytest.warns(UserWarning, match="lines 2 and 4 are the same"):
        assert How2Sign(str(corpus)).manifest("dev").ids == [row[0] for row in sentences("dev")]


@pytest.mark.parametrize(("split", "count"), [("dev", 9), ("test", 30)])
def test_real_segments_are_kept_however_short(shared_data, split, count):
    samples = How2Sign(str(shared_data / "how2sign")).manifest(split)
    assert sum(s.meta["end"] - s.meta["start"] < 0.3 for s in samples) == count


@pytest.mark.parametrize(("sign", "name"), [(",", "comma"), (";", "semicolon")])
def test_a_spreadsheet_changed_the_delimiter(corpus, sign, name):
    expected, path = list(How2Sign(str(corpus)).manifest("dev")), text_file(corpus, "dev")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=sign).writerows(rows)
    with pytest.warns(UserWarning, match=f"{name}-separated, as spreadsheets save it; read as such"):
        assert list(How2Sign(str(corpus)).manifest("dev")) == expected


def test_another_delimiter_that_is_not_certain_is_refused(corpus):
    change(text_file(corpus, "dev"), "\t", ",")  # one text holds a comma, and nobody quoted it
    with pytest.raises(AnnotationError, match="header has 1 column; expected 7 tab-separated") as error:
        How2Sign(str(corpus)).manifest("dev")
    assert "contains 6 commas: the file looks comma-separated" in str(error.value)


def test_windows_line_ends_and_byte_order_mark(corpus):
    expected = list(How2Sign(str(corpus)).manifest("dev"))
    path = text_file(corpus, "dev")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert list(How2Sign(str(corpus)).manifest("dev")) == expected


def test_the_wrong_root(corpus, tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"no how2sign_realigned_val\.csv") as error:
        How2Sign(str(corpus / "video_level")).manifest("dev")
    assert "there: test, train, val" in str(error.value)
    with pytest.raises(DatasetNotFoundError, match="no such folder"):
        How2Sign(str(tmp_path / "none")).manifest("dev")


def test_original_times_do_not_cut_full_videos(corpus):
    text_file(corpus, "dev").unlink()
    write(text_file(corpus, "dev", original=True), sentences("dev"), original=True)
    with pytest.raises(DatasetNotFoundError, match="only the file of the original times") as error:
        How2Sign(str(corpus)).manifest("dev")
    assert "data.cut=clips" in str(error.value)


def test_two_annotations_that_differ(corpus):
    write(corpus / "old/how2sign_realigned_val.csv", sentences("dev")[:1])
    with pytest.raises(DatasetNotFoundError, match="2 annotations of dev that differ"):
        How2Sign(str(corpus)).manifest("dev")


@pytest.mark.parametrize("arguments", [{"cut": "original"}, {"view": "top"}])
def test_arguments_out_of_range(tmp_path, arguments):
    with pytest.raises(ConfigError, match="must be"):
        How2Sign(str(tmp_path), **arguments)


def test_repair_touches_nothing_else():
    assert repair_mojibake("You\u00e2\u0080\u0099re") == "You\u2019re"
    assert repair_mojibake("caf\u00c3\u00a9 caf\u00e9 \u2019 \u00e2\u0080") == "caf\u00e9 caf\u00e9 \u2019 \u00e2\u0080"

"""Bad input, row by row of the specification: which test holds what, and the rows that no other file tests.

`ROWS` has every row of section 10 ("Bad input") of the specification of the corpora, in its order, under its name.
"""

from __future__ import annotations

import ast
import errno
import logging
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from slt_zoo import CSLDaily, InputSpec, Phoenix14T
from slt_zoo.data import retry
from slt_zoo.data.clips import ClipDataset
from slt_zoo.data.listing import FolderIndex
from slt_zoo.data.locations import FolderTree
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.media_checks import ctc_steps, too_short_for_ctc
from slt_zoo.data.readers import base, open_reader
from slt_zoo.errors import AnnotationError, DatasetError, MediaError, MissingMediaError
from slt_zoo.files import write_atomically
from slt_zoo.types import Media, Sample

HERE = Path(__file__).parents[1]
PHOENIX = "datamodules/test_phoenix14t.py"
CSL = "datamodules/test_csl_daily.py"
HOW2SIGN = "datamodules/test_how2sign.py"
GSL = "datamodules/test_gsl.py"
OWN = "data/test_bad_input.py"

ROWS: dict[str, list[str]] = {
    "root wrong or one level off": [f"{PHOENIX}::test_the_wrong_root", f"{PHOENIX}::test_the_real_annotation_is_whole"],
    "all frame folders missing": [f"{OWN}::test_no_frames_at_all"],
    "some frame folders missing": [
        f"{PHOENIX}::test_missing_media_of_some_samples",
        f"{HOW2SIGN}::test_some_clips_are_missing",
    ],
    "`1/` level in the path": ["data/test_readers_frames.py::test_folder_1"],
    "foreign files among frames": ["data/test_readers_frames.py::test_foreign_files_are_not_counted"],
    "zero-length clip, empty folder": [
        "data/test_readers_frames.py::test_empty_folder",
        "data/test_readers_features.py::test_no_features",
    ],
    "clip shorter than the model's stride or than CTC needs": [
        f"{OWN}::test_clips_shorter_than_ctc_needs",
        "cli/test_doctor.py::test_the_real_csl_daily",
    ],
    "frame count differs from the annotation": [
        "data/test_readers_pose.py::test_declared_number_of_frames",
        f"{OWN}::test_frame_counts_other_than_annotated",
    ],
    "gap in the frame numbers": [
        "data/test_readers_frames.py::test_gap",
        "data/test_readers_frames.py::test_sorted_by_number",
    ],
    "wrong image size or mode": [
        f"{OWN}::test_frames_of_another_size_than_their_folder_says",
        "data/test_readers_frames.py::test_modes_of_png_become_rgb",
        "data/test_readers_frames.py::test_modes_of_jpeg_become_rgb",
    ],
    "broken image": ["data/test_readers_frames.py::test_broken_images"],
    "truncated mp4": [
        "data/test_readers_video.py::test_download_without_moov",
        "data/test_readers_video.py::test_truncated_files_say_how_much_decodes",
    ],
    "video without a video stream, rotated, variable frame rate": [
        "data/test_readers_video.py::test_sound_alone",
        "data/test_readers_video.py::test_rotation_is_applied",
        "data/test_readers_video.py::test_variable_rate_follows_times",
    ],
    "segment outside the video": [
        "data/test_readers_pose.py::test_segment_that_is_none",
        "cli/test_doctor.py::test_segments_past_the_end_of_their_videos",
        "data/test_length_cache.py::test_segments_past_the_end_are_told_at_setup",
    ],
    "end <= start, negative time, non-number": [f"{HOW2SIGN}::test_damage_names_file_and_line"],
    "NaN or inf keypoints": [
        "data/test_readers_pose.py::test_not_finite",
        "data/test_readers_pose.py::test_no_point_ever_valid",
    ],
    "keypoint count unknown": ["data/test_readers_pose_array.py::test_array_of_another_layout"],
    "several or no people": [
        "data/test_readers_openpose.py::test_openpose_one_person_is_followed",
        "data/test_readers_openpose.py::test_openpose_nobody_at_all",
    ],
    "coordinates normalised when pixels are expected (or reverse)": [f"{OWN}::test_normalised_where_pixels_are_meant"],
    "empty translation": [
        f"{PHOENIX}::test_an_empty_translation",
        f"{GSL}::test_texts_that_are_empty_in_the_release_are_left_out_of_translation",
        f"{GSL}::test_an_empty_text_is_kept_and_skipped_by_policy",
    ],
    "empty question": ["datamodules/test_csl_daily_qa.py::test_an_empty_question_is_an_error_unless_kept"],
    "empty gloss where gloss is needed": [f"{HOW2SIGN}::test_no_glosses"],
    "duplicated ids": [
        f"{PHOENIX}::test_damage_names_file_and_line",
        f"{PHOENIX}::test_a_row_that_stands_twice_is_kept_once",
        f"{CSL}::test_rows_that_stand_twice",
    ],
    "same id in two splits": [
        f"{PHOENIX}::test_a_sample_in_two_splits",
        f"{PHOENIX}::test_equal_texts_across_splits_are_told",
        f"{CSL}::test_damage_of_the_split_file",
    ],
    "id in split file without annotation, or reverse": [
        f"{CSL}::test_ids_of_one_file_alone_are_told_once",
        f"{GSL}::test_a_list_that_names_what_the_annotation_has_not",
        f"{GSL}::test_annotated_samples_of_no_list_are_told",
    ],
    "wrong delimiter": [
        f"{HOW2SIGN}::test_a_spreadsheet_changed_the_delimiter",
        f"{HOW2SIGN}::test_another_delimiter_that_is_not_certain_is_refused",
        f"{PHOENIX}::test_another_delimiter_is_recognised",
    ],
    "no header": [f"{PHOENIX}::test_harmless_variants_give_the_same_samples", f"{CSL}::test_tables_without_header"],
    "BOM": [f"{PHOENIX}::test_harmless_variants_give_the_same_samples"],
    "CRLF, NUL, wrong encoding": [
        f"{PHOENIX}::test_harmless_variants_give_the_same_samples",
        f"{PHOENIX}::test_damage_names_file_and_line",
        f"{PHOENIX}::test_latin_1_is_recognised",
        f"{OWN}::test_other_encodings",
    ],
    "stray `|`, too few or many columns": [
        f"{PHOENIX}::test_damage_names_file_and_line",
        "datamodules/test_phoenix14t_qa.py::test_files_with_negative_questions_are_refused",
        "data/test_parser_damage.py::test_one_damage_gives_no_wrong_sample",
    ],
    "trailing, doubled, no-break, zero-width spaces": [f"{PHOENIX}::test_odd_spaces_are_counted_and_kept"],
    "mojibake": [f"{HOW2SIGN}::test_real_mojibake_is_counted_and_repaired_when_asked"],
    "Unicode not NFC": [
        f"{PHOENIX}::test_decomposed_file_names_are_found",
        f"{OWN}::test_ids_that_are_one_name_in_unicodes_composed_form",
        "data/test_readers_listing.py::test_near_misses",
    ],
    "wrong split name": [f"{PHOENIX}::test_split_names"],
    "wrong variant file": [f"{PHOENIX}::test_the_complex_annotation_is_refused"],
    "wrong gloss or text version": [
        f"{PHOENIX}::test_other_glosses_are_told_apart_by_their_hash",
        f"{PHOENIX}::test_the_labels_of_baselines_are_told_by_name",
        f"{CSL}::test_the_versions_differ_in_90_real_texts_and_are_told_apart",
    ],
    "counts differ from the published ones": [f"{PHOENIX}::test_counts_unlike_the_published_ones_are_told"],
    "hostile or foreign pickle": [
        "data/test_readers_feature_files.py::test_hostile_pickles_run_nothing",
        "data/test_hostile_files.py::test_pickles_that_call_functions",
    ],
    "torch missing while the pickle holds tensors; class moved (`numpy._core`)": [
        "data/test_readers_feature_files.py::test_pickle_of_arrays",
        f"{OWN}::test_classes_of_packages_that_are_not_here",
    ],
    "feature length against frames": [
        "data/test_readers_features.py::test_length_against_frames",
        f"{OWN}::test_feature_lengths_that_follow_no_stride",
    ],
    "feature dimension differs between files": [f"{OWN}::test_features_of_two_widths_in_a_batch"],
    "float16, int, Fortran order, memory-mapped read-only arrays": [
        "data/test_readers_features.py::test_types_and_orders"
    ],
    "path case, spaces, non-ASCII, symlink loops, 260-character limit": [
        "data/test_readers_listing.py::test_near_misses",
        "data/test_readers_listing.py::test_symlink_loop",
        f"{OWN}::test_links_that_lead_in_circles",
        f"{OWN}::test_a_path_that_is_too_long",
    ],
    "no permission, stale network mount, disk full in cache": [
        "data/test_readers_pose_array.py::test_no_permission",
        f"{OWN}::test_folders_that_may_not_be_listed",
        f"{OWN}::test_a_disk_that_is_away_for_a_moment",
        f"{OWN}::test_a_full_disk_is_told_by_its_path_and_not_tried_again",
    ],
    "worker crash in a DataLoader": [f"{OWN}::test_the_sample_is_known_before_a_worker_crashes"],
}


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((HERE / path).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_has_tests_that_are_there():
    missing = [
        f"{row}: {test}"
        for row, tests in ROWS.items()
        for test in tests or ["none"]
        if "::" not in test or test.split("::")[1] not in functions_in(test.split("::")[0])
    ]
    assert not missing


def test_no_row_of_the_specification_is_left_out(shared_data):
    path = shared_data.parent / "specs/datasets.md"
    if not path.is_file():
        pytest.skip(f"no specification at {path}")
    table = path.read_text("utf-8").split("## 10. Bad input")[1].split("## 11")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in table.split("\n") if line.startswith("| ")]
    assert [row.replace("\\|", "|") for row in rows if row not in ("fault", "---")] == list(ROWS)


# A corpus of three samples with features.

HEADER = "name|video|start|end|speaker|orth|translation"
SPEC = InputSpec(modality="features")
pytestmark = pytest.mark.filterwarnings("ignore:.*the release has", "ignore:.*also occur in train")


@pytest.fixture(autouse=True)
def _nothing_told():
    base._told.clear()


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "PHOENIX-2014-T"
    (folder / "annotations/manual").mkdir(parents=True)
    (folder / "features/mine/train").mkdir(parents=True)
    rows = [f"clip-{i}|clip-{i}/1/*.png|-1|-1|Signer01|REGEN NORD|regen im norden {i}" for i in range(3)]
    annotation(folder).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    for i in range(3):
        np.save(folder / f"features/mine/train/clip-{i}.npy", np.ones((6, 4), np.float32))
    return folder


def annotation(folder: Path) -> Path:
    return folder / "annotations/manual/PHOENIX-2014-T.train.corpus.csv"


def phoenix(corpus: Path, **arguments) -> Phoenix14T:
    return Phoenix14T(str(corpus), features="mine", **arguments)


def sample(sample_id: str, **more) -> Sample:
    return Sample(sample_id, "train", "ein text", "de", "gsg", **more)


def test_no_frames_at_all(corpus):
    with pytest.raises(MissingMediaError, match="Phoenix14T train: 3 of 3 samples have no frames") as error:
        phoenix(corpus).bind(InputSpec(modality="frames"), ["train"])
    message = str(error.value)
    assert "unpack the frames into" in message and "fullFrame-210x260px" in message and "poses or features" in message
    assert "missing for clip-0, clip-1, clip-2" in message


def test_clips_shorter_than_ctc_needs():
    assert ctc_steps(("A", "A", "B")) == 4 and ctc_steps(()) == 0
    glosses = {"enough": ("A", "B"), "short": ("A", "A"), "empty": (), "unknown": ("A",)}
    frames = {"enough": 8, "short": 11, "empty": 2}
    samples = [sample(i, gloss=g, meta={"num_frames": frames.get(i)}) for i, g in glosses.items()]
    manifest = Manifest(samples, corpus="C", split="train")
    assert too_short_for_ctc(manifest, 4) == (["short"], ["unknown"]), "two steps, and three are needed"
    assert too_short_for_ctc(manifest, 4, {"enough": 7, "short": 12, "empty": 0, "unknown": 4}) == (["enough"], [])


def test_frame_counts_other_than_annotated(tmp_path, caplog):
    folder = tmp_path / "S000020_P0000_T00"
    folder.mkdir()
    for i in (0, 1, 3):
        Image.new("RGB", (8, 8)).save(folder / f"{i:06}.jpg")
    reader = open_reader("frames", Media(str(folder), num_frames=4), sample_id="S000020_P0000_T00")
    assert reader.num_frames == 3
    assert "4 frames annotated, 3 found (first missing number 2); what was found is used" in caplog.text


@pytest.mark.parametrize(("size", "told"), [((210, 260), False), ((256, 256), True)])
def test_frames_of_another_size_than_their_folder_says(corpus, recwarn, size, told):
    for i in range(3):
        folder = corpus / f"features/fullFrame-210x260px/train/clip-{i}"
        folder.mkdir(parents=True)
        Image.new("RGB", size).save(folder / "images0001.png")
    phoenix(corpus).bind(InputSpec(modality="frames"), ["train"])
    found = [str(w.message) for w in recwarn if "expected 210x260" in str(w.message)]
    assert len(found) == told and all("got 256x256" in m and "data.frames" in m for m in found)


def test_normalised_where_pixels_are_meant(tmp_path, caplog):
    rng = np.random.default_rng(0)
    for name, scale in (("pixels", 500), ("normalised", 1)):
        array = rng.uniform(0.1, 0.9, (4, 137, 3)).astype(np.float32)
        array[..., :2] *= scale
        np.save(tmp_path / f"{name}.npy", array)
    for name, told in (("pixels", False), ("normalised", True)):
        reader = open_reader("pose", Media(str(tmp_path / f"{name}.npy"), layout="openpose137"), sample_id=name)
        reader.read(torch.tensor([0, 3]))
        assert ("normalised coordinates; the layout says pixels" in caplog.text) is told
    assert "sample normalised" in caplog.text


@pytest.mark.parametrize(
    ("encoding", "message"), [("utf-16", "this is UTF-16"), ("latin-1", r"not UTF-8 \(byte 0xf6 at \d+, line 2\)")]
)
def test_other_encodings(corpus, encoding, message):
    path = annotation(corpus)
    path.write_bytes(path.read_text("utf-8").replace("regen im", "schön im").encode(encoding))
    with pytest.raises(AnnotationError, match=message) as error:
        phoenix(corpus).manifest("train")
    assert str(path) in str(error.value) and "convert the file to UTF-8" in str(error.value)


def test_ids_that_are_one_name_in_unicodes_composed_form(corpus):
    path, (composed, decomposed) = annotation(corpus), ("sch\u00f6n", "scho\u0308n")
    text = path.read_text("utf-8").replace("clip-0", composed).replace("clip-1", decomposed)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnnotationError, match="occurs on lines 2 and 3, with different content") as error:
        phoenix(corpus).manifest("train")
    assert ascii(composed) in str(error.value) and ascii(decomposed) in str(error.value)


def test_texts_that_are_not_in_the_composed_form_are_counted_and_kept(corpus):
    path = annotation(corpus)
    path.write_text(path.read_text("utf-8").replace("regen im norden 1", "scho\u0308n"), encoding="utf-8")
    with pytest.warns(UserWarning, match=r"train: 1 texts are not in Unicode's NFC form \(clip-1\)"):
        assert phoenix(corpus).manifest("train")[1].references == ("scho\u0308n",)


def test_classes_of_packages_that_are_not_here(tmp_path):
    path = tmp_path / "old.pkl"
    path.write_bytes(b"\x80\x02cold_package.arrays\nArray\n)R.")
    with pytest.raises(MediaError, match=r"pickle wants old_package\.arrays\.Array: refused") as error:
        open_reader("features", Media(str(path), item="a"), sample_id="a")
    assert "convert it" in str(error.value) and str(path) in str(error.value)


def csl_with_features(root: Path, lengths: list[int]) -> CSLDaily:
    names = [f"S00000{i}_P0001_T00" for i in range(len(lengths))]
    (root / "sentence_label").mkdir()
    (root / "features/mine").mkdir(parents=True)
    (root / "sentence_label/split_1.txt").write_text("".join(["name|split\n", *(f"{n}|train\n" for n in names)]))
    rows = [f"00000{i}|{n}|{40 + 8 * i}|A|书|书|n\n" for i, n in enumerate(names)]
    head = "index|name|length|gloss|char|word|postag\n"
    (root / "sentence_label/video_map.txt").write_text("".join([head, *rows]), encoding="utf-8")
    for name, length in zip(names, lengths, strict=True):
        np.save(root / f"features/mine/{name}.npy", np.ones((length, 4), np.float32))
    return CSLDaily(str(root), features="mine")


def test_feature_lengths_that_follow_no_stride(tmp_path):
    (tmp_path / "whole").mkdir()
    csl_with_features(tmp_path / "whole", [10, 12, 14, 16]).bind(SPEC, ["train"])  # stride 4
    (tmp_path / "mixed").mkdir()
    with pytest.raises(MediaError, match="T=56 features for 56 frames, and stride 4 in other samples") as error:
        csl_with_features(tmp_path / "mixed", [10, 12, 56, 16]).bind(SPEC, ["train"])
    assert "S000002_P0001_T00" in str(error.value) and "one stride; data.feature_stride" in str(error.value)


def test_features_of_two_widths_in_a_batch(corpus):
    np.save(corpus / "features/mine/train/clip-2.npy", np.ones((6, 5), np.float32))
    data = phoenix(corpus, batch_size=3)
    data.bind(SPEC, ["train"])
    with pytest.raises(MediaError, match="features of different shapes in one batch") as error:
        list(data.loader("train"))
    message = str(error.value)
    assert "samples clip-0 and clip-2" in message and "(4,)" in message and "(5,)" in message


def test_links_that_lead_in_circles(corpus):
    inner = corpus / "features/mine/train/more"
    inner.mkdir()
    (inner / "up").symlink_to(corpus, target_is_directory=True)
    (inner / "self").symlink_to(inner / "self")
    tree = FolderTree(corpus, lambda name: False)
    assert [p.name for p in tree.files(lambda name: name.endswith(".npy"))] == [f"clip-{i}.npy" for i in range(3)]
    (corpus / "features/mine/train/loop").symlink_to(corpus / "features/mine/train/loop")
    data = phoenix(corpus)
    data.bind(SPEC, ["train"])
    assert len(list(data.loader("train"))) == 1


def test_a_path_that_is_too_long(tmp_path):
    path = tmp_path / ("x" * 300)
    with pytest.raises(MediaError, match=r"cannot read: File name too long[\s\S]*sample s1") as error:
        open_reader("features", Media(str(path)), sample_id="s1")
    assert isinstance(error.value.__cause__, OSError)
    with pytest.raises(AnnotationError, match=r"1 ids cannot name files: .* longer than the 255 bytes of a file name"):
        Manifest([sample("x" * 300)], corpus="C", split="train")


def test_folders_that_may_not_be_listed(corpus, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("mine/train"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for look in (
        lambda: phoenix(corpus).bind(SPEC, ["train"]),
        lambda: FolderIndex(corpus / "features/mine/train").names(),
        lambda: FolderTree(corpus, lambda name: False).files(lambda name: True),
    ):
        with pytest.raises(DatasetError, match="cannot list the folder: Permission denied") as error:
            look()
        assert "mine/train" in str(error.value) and isinstance(error.value.__cause__, PermissionError)


@pytest.mark.parametrize(("number", "tries"), [(errno.ESTALE, 3), (errno.EIO, 3), (errno.EACCES, 1)])
def test_a_disk_that_is_away_for_a_moment(corpus, monkeypatch, caplog, number, tries):
    monkeypatch.setattr(retry, "PAUSES", (0.0, 0.0))
    data = phoenix(corpus)
    data.bind(SPEC, ["train"])
    dataset = data.loader("train").dataset
    assert isinstance(dataset, ClipDataset)
    calls, plain = [], Path.open

    def fail(path, *args, **kwargs):
        if path.name == "clip-1.npy":
            calls.append(path)
            if len(calls) < 3:
                raise OSError(number, os.strerror(number), str(path))
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", fail)
    if tries == 3:
        assert dataset[1].features.shape == (6, 4) and len(calls) == 3
        assert caplog.text.count("trying again") == 2 and "clip-1" in caplog.text
    else:
        with pytest.raises(MediaError, match=r"cannot read: Permission denied[\s\S]*sample clip-1") as error:
            _ = dataset[1]
        assert len(calls) == 1 and error.value.__cause__.errno == errno.EACCES


def test_a_full_disk_is_told_by_its_path_and_not_tried_again(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    calls = []

    def on_a_full_disk(path, *args, **kwargs):
        calls.append(args)
        with Path("/dev/full").open("w", encoding="utf-8") as file:
            file.write("x" * 100_000)

    monkeypatch.setattr(Path, "write_text", on_a_full_disk)
    with pytest.raises(OSError, match="No space left on device") as error:
        write_atomically(tmp_path / "scores.json", "{}")
    assert error.value.filename == str(tmp_path / "scores.json") and len(calls) == 1
    assert not retry.is_passing(error.value) and not list(tmp_path.iterdir()), "nothing is left behind"


CRASH = """
import logging, os, sys
from pathlib import Path
from slt_zoo import InputSpec, Phoenix14T
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import slt_zoo.data.clips as clips
read = clips.open_reader
def die(kind, media, *, sample_id):
    if sample_id == "clip-1":
        os.abort()
    return read(kind, media, sample_id=sample_id)
data = Phoenix14T(sys.argv[1], features="mine", batch_size=1, num_workers=1)
data.bind(InputSpec(modality="features"), ["train"])
clips.open_reader = die
list(data.loader("train"))
"""


def test_the_sample_is_known_before_a_worker_crashes(corpus):
    done = subprocess.run([sys.executable, "-c", CRASH, str(corpus)], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "DataLoader worker" in done.stderr
    told = re.findall(r"reading (clip-\d)", done.stderr)
    assert "clip-1" in told and told.index("clip-1") == told.index("clip-0") + 1, done.stderr[-2000:]


def test_rows_are_logged_at_debug_level_alone(corpus, caplog):
    caplog.set_level(logging.INFO)
    data = phoenix(corpus)
    data.bind(SPEC, ["train"])
    _ = data.loader("train").dataset[0]
    assert "reading clip-0" not in caplog.text

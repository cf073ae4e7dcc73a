"""Hostile files: refused, nothing run, nothing read or written elsewhere, no memory filled."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from slt_zoo import GSL, CSLDaily, CSLDailyQA, How2Sign, InputSpec, Phoenix14T
from slt_zoo.data import compressed, official
from slt_zoo.data.formats.questions import read_questions
from slt_zoo.data.ids import check_id, why_unsound
from slt_zoo.data.manifest import Manifest
from slt_zoo.data.readers import open_reader
from slt_zoo.data.subsets import read_subset
from slt_zoo.errors import AnnotationError, DatasetError, MediaError
from slt_zoo.types import Media, Sample

pytestmark = pytest.mark.filterwarnings("ignore:.*the release has")


# Code in pickles.


class Evil:
    """Asks for a command to be run when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def mark(tmp_path) -> Path:
    """A file that a command would make."""
    return tmp_path / "pwned"


def test_the_command_would_run(mark):
    pickle.loads(pickle.dumps(Evil(f"touch {mark}")))
    assert mark.exists(), "else the tests below show nothing"


def wrap(kind: str, evil: Evil) -> bytes:
    contents = {
        "features": [{"name": "train/a", "sign": evil}],
        "poses": {"keypoints": [evil], "scores": [np.ones((1, 133))]},
        "csl": {"info": [{"name": "S000001_P0000_T00", "label_char": evil}]},
        "labels": [{"name": "S000001_P0000_T00", "text": evil}],
    }
    return pickle.dumps(contents[kind])


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["features", "poses"])
def test_pickles_that_call_functions(tmp_path, mark, kind, zipped):
    data, path = wrap(kind, Evil(f"touch {mark}")), tmp_path / f"{kind}.pkl"
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(MediaError, match=r"pickle wants \w+\.system: refused") as error:
        open_reader("pose" if kind == "poses" else "features", Media(str(path), item="a"), sample_id="a")
    assert "can run any code" in str(error.value) and str(path) in str(error.value) and not mark.exists()


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("kind", "read"), [("csl", official.read_csl_daily_pickle), ("labels", official.read_csl_daily_labels)]
)
def test_annotation_in_pickles_that_call_functions(tmp_path, mark, kind, read, zipped):
    data, path = wrap(kind, Evil(f"touch {mark}")), tmp_path / "labels.pkl"
    path.write_bytes(gzip.compress(data) if zipped else data)
    with pytest.raises(AnnotationError, match=r"cannot be read as plain data[\s\S]*asks for \w+\.system") as error:
        read(path)
    assert str(path) in str(error.value) and not mark.exists()


@pytest.mark.parametrize("kind", ["pose", "features"])
def test_arrays_of_objects(tmp_path, mark, kind):
    path = tmp_path / "a.npy"
    np.save(path, np.array([Evil(f"touch {mark}")], dtype=object), allow_pickle=True)
    with pytest.raises(MediaError, match="a pickled object, not an array of numbers: refused"):
        open_reader(kind, Media(str(path)), sample_id="a")
    assert not mark.exists()


def test_torch_files_that_call_functions(tmp_path, mark):
    path = tmp_path / "a.pt"
    torch.save({"a": Evil(f"touch {mark}")}, path)
    with pytest.raises(MediaError, match="refused"):
        open_reader("features", Media(str(path)), sample_id="a")
    assert not mark.exists()


def test_segments_in_a_pickle(tmp_path, mark):
    corpus = small_phoenix(tmp_path)
    folder = tmp_path / "segments"
    folder.mkdir()
    np.save(folder / "clip.npy", np.array([Evil(f"touch {mark}")], dtype=object), allow_pickle=True)
    data = Phoenix14T(str(corpus), segments=str(folder))
    data.bind(InputSpec(modality="none", needs=frozenset({"segments"})), ["train"])
    with pytest.raises(MediaError, match="cannot read sign boundaries"):
        list(data.loader("train"))
    assert not mark.exists()


# Names that lead elsewhere.

UNSOUND = [
    "..",
    "../../etc/passwd",
    "a/../../b",
    "/etc/passwd",
    "C:\\windows",
    "..\\up",
    "a\0b",
    "a\nb",
    "./a",
    "a//b",
    "",
    " a",
    "a\u202eb",
    "\ufeffa",
    "a*",
    "~/a/..",
]


@pytest.mark.parametrize("name", UNSOUND)
def test_ids_that_may_not_name_files(name):
    assert why_unsound(name)
    with pytest.raises(AnnotationError, match="cannot be an id") as error:
        check_id(name, "list.txt, line 3")
    assert "list.txt, line 3" in str(error.value)
    with pytest.raises(AnnotationError, match="C train: 1 ids cannot name files"):
        Manifest([Sample(name, "train", "t", "de", "gsg")], corpus="C", split="train")


@pytest.mark.parametrize(
    "name", ["clip-1", "-fZc293MpJk_0-1-rgb_front", "a_signer1_rep1_sentences/s0", "März 2", "a..b"]
)
def test_ids_that_may(name):
    assert why_unsound(name) is None and check_id(name, "") == name


def small_phoenix(root: Path, name: str = "clip") -> Path:
    folder = root / "annotations/manual"
    folder.mkdir(parents=True)
    row = f"{name}|{name}/1/*.png|-1|-1|Signer01|A|ein text"
    path = folder / "PHOENIX-2014-T.train.corpus.csv"
    path.write_text(f"name|video|start|end|speaker|orth|translation\n{row}\n", encoding="utf-8")
    return root


def escaping(tmp_path: Path) -> dict[str, tuple[Path, object]]:
    """Files of every format whose id leads to ``secret`` beside the corpus, and what reads them."""
    up = "../../../secret"
    tsv = "VIDEO_ID\tVIDEO_NAME\tSENTENCE_ID\tSENTENCE_NAME\tSTART_REALIGNED\tEND_REALIGNED\tSENTENCE\n"
    video = "abcdefghijk-5-rgb_front"
    row = {"id": up, "split": "train", "num_frames": 3, "fps": 25, "question": "q", "text": "t", "language": "de"}
    label = json.dumps({"name": up, "text": "t"})
    texts = {
        "phoenix": (f"{up}|{up}/1/*.png|-1|-1|S|A|t\n", lambda p: official.read_phoenix14t(p, "train")),
        "phoenix_qa": (f"train/{up} text%frage%A\n", official.read_phoenix14t_qa),
        "csl_split": (f"name|split\n{up}|train\n", official.read_csl_split),
        "csl_map": (f"000000|{up}|3|A|t|t|n\n", official.read_csl_daily),
        "csl_qa": (f"000000|{up}|3|A|t|t|q\n", official.read_csl_daily_qa),
        "csl_labels": (label, official.read_csl_daily_labels),
        "how2sign": (f"{tsv}abcdefghijk\t{video}\tx\t../../../ab_0-5-rgb_front\t0\t1\tt\n", official.read_how2sign),
        "how2sign_video": (
            f"{tsv}abcdefghijk\t../../../ab-5-rgb_front\tx\tabcdefghijk_0-5-rgb_front\t0\t1\tt\n",
            official.read_how2sign,
        ),
        "gsl": ("../kep1_signer1_rep1_sentences/..|t|A\n", official.read_gsl),
        "gsl_list": ("../../kep1_signer1_rep1_sentences/sentences0000|A\n", official.read_gsl_list),
        "questions": (json.dumps(row | {"question_source": "human"}), lambda p: read_questions(p, "de")),
        "id_list": (f"a\nb/../{up}\n", official.read_id_list),
    }
    made = {}
    for name, (text, read) in texts.items():
        path = tmp_path / f"{name}.txt"
        path.write_text(text, encoding="utf-8")
        made[name] = (path, read)
    return made


FORMATS = (
    *("phoenix", "phoenix_qa", "csl_split", "csl_map", "csl_qa", "csl_labels", "how2sign", "how2sign_video", "gsl"),
    *("gsl_list", "questions", "id_list"),
)


@pytest.mark.parametrize("name", FORMATS)
def test_names_in_annotations_that_lead_out_of_the_corpus(tmp_path, name):
    path, read = escaping(tmp_path)[name]
    with pytest.raises(AnnotationError) as error:
        read(path)
    message = str(error.value)
    assert str(path) in message and "line " in message and (".." in message), message


def test_names_of_a_pickle_and_of_a_subset(tmp_path):
    path = tmp_path / "csl.pkl"
    info = {"name": "../../x", "signer": 0, "length": 3, "label_char": ["a"], "label_gloss": ["A"]}
    path.write_bytes(pickle.dumps({"info": [info]}))
    with pytest.raises(AnnotationError, match=r"'\.\./\.\./x' is no name of CSL-Daily") as error:
        official.read_csl_daily_pickle(path)
    assert f"{path}, entry 1" in str(error.value)
    (tmp_path / "train.txt").write_text("a\n../../x\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"'\.\./\.\./x' cannot be an id") as error:
        read_subset(tmp_path, "train")
    assert "train.txt, line 2" in str(error.value)


def test_a_corpus_never_opens_what_lies_beside_it(tmp_path):
    secret = tmp_path / "secret.npy"
    np.save(secret, np.ones((4, 4), np.float32))
    corpus = small_phoenix(tmp_path / "corpus", "../../secret")
    (corpus / "features/mine").mkdir(parents=True)
    (corpus / "features/mine/x.npy").touch()
    with pytest.raises(AnnotationError, match="it leads out of the folder of its corpus"):
        Phoenix14T(str(corpus), features="mine").manifest("train")


# Files that unpack to any size.


def bomb(begin: bytes, size: int) -> bytes:
    """Gzip of ``begin`` and ``size`` zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts, block = [packer.compress(begin)], bytes(1 << 20)
    parts += [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


@pytest.fixture
def small_bound(monkeypatch) -> int:
    """A bound that a test reaches in no time."""
    monkeypatch.setattr(compressed, "FLOOR", 1 << 20)
    monkeypatch.setattr(compressed, "RATIO", 10)
    return 1 << 20


def test_the_bound_is_what_the_documentation_says():
    assert compressed.gzip_bound(10) == 256 * 2**20 and compressed.gzip_bound(2**30) == 100 * 2**30


def test_gzip_that_unpacks_to_gigabytes(tmp_path, small_bound):
    long_bytes = b"\x80\x05\x8e" + (64 << 20).to_bytes(8, "little")  # BINBYTES8: 64 MiB of bytes follow
    path = tmp_path / "a.pkl"
    path.write_bytes(bomb(long_bytes, 64 << 20))
    skels = tmp_path / "train.skels.gz"
    skels.write_bytes(bomb(b"0.5 ", 64 << 20))
    (tmp_path / "train.files").write_text("a\n", encoding="utf-8")
    tracemalloc.start()
    for kind, file, media in (
        ("features", path, Media(str(path), item="a")),
        ("pose", path, Media(str(path), item="a")),
        ("pose", skels, Media(str(skels), item="a", layout="skels50")),
    ):
        with pytest.raises(MediaError, match=r"it unpacks to more than 1,048,576 bytes: refused") as error:
            open_reader(kind, media, sample_id="a")
        assert str(file) in str(error.value)
    for read in (official.read_csl_daily_labels, official.read_csl_daily_pickle):
        with pytest.raises(AnnotationError, match=r"cannot read the file[\s\S]*unpacks to more than 1,048,576 bytes"):
            read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 160 << 20, "the pickle's own 64 MiB buffer, and not what the file claims"


def test_torch_files_that_unpack_to_gigabytes(tmp_path, small_bound):
    data = io.BytesIO()
    torch.save(torch.zeros(2 << 20), data)
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(io.BytesIO(data.getvalue())) as plain, zipfile.ZipFile(path, "w") as packed:
        for part in plain.infolist():
            packed.writestr(part.filename, plain.read(part), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(MediaError, match="it unpacks to more than 1,048,576 bytes: refused"):
        open_reader("features", Media(str(path)), sample_id="a")


def test_lists_that_hold_themselves_many_times(tmp_path):
    lists: list = [0.0] * 10
    for _ in range(12):
        lists = [lists] * 10
    own: list = []
    own.append(own)
    for name, sign in (("many", lists), ("own", own)):
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(pickle.dumps([{"name": "a", "sign": sign}]))
        assert path.stat().st_size < 2000
        with pytest.raises(MediaError, match="lists of more than 268,435,456 numbers: refused"):
            open_reader("features", Media(str(path), item="a"), sample_id="a")
    for content in ({"info": lists}, {"info": [lists]}, lists, [{"name": lists, "text": ""}]):
        path = tmp_path / "labels.pkl"
        path.write_bytes(pickle.dumps(content))
        for read in (official.read_csl_daily_pickle, official.read_csl_daily_labels):
            with pytest.raises(AnnotationError) as error:  # and no message of 10**13 numbers
                read(path)
            assert len(str(error.value)) < 2000


@pytest.mark.parametrize("sign", ["[", '{"a":'])
def test_deeply_nested_json(tmp_path, sign):
    deep = sign * 200_000
    path = tmp_path / "x.jsonl"
    path.write_text(deep, encoding="utf-8")
    for read in (lambda p: read_questions(p, "de"), official.read_csl_daily_labels):
        with pytest.raises(AnnotationError, match="JSON") as error:
            read(path)
        assert f"{path}, line 1" in str(error.value) and len(str(error.value)) < 2000
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "clip_000000000000_keypoints.json").write_text(deep, encoding="utf-8")
    with pytest.raises(MediaError, match="as OpenPose JSON"):
        open_reader("pose", Media(str(folder)), sample_id="a").read(torch.tensor([0]))


def test_json_that_says_a_thing_twice_or_half_a_character(tmp_path):
    row = '{"name": "S000001_P0000_T00", "text": "%s"}'
    path = tmp_path / "x.jsonl"
    for text, message in [('a", "text": "b', "'text' stands twice"), ("\\ud800", "half a character, U\\+D800")]:
        path.write_text(row % "x" + "\n" + row.replace("1_P", "2_P") % text, encoding="utf-8")
        with pytest.raises(AnnotationError, match=message) as error:
            official.read_csl_daily_labels(path)
        assert f"{path}, line 2" in str(error.value)


# Videos that are none.


def write_video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        for shade in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), shade * 20, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile secret.mp4\n",
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("kind", sorted(PLAYLISTS))
def test_a_playlist_that_is_called_a_video(tmp_path, kind, suffix):
    write_video(tmp_path / "secret.mp4")
    path = tmp_path / f"clip{suffix}"
    path.write_text(PLAYLISTS[kind], encoding="utf-8")
    if (kind, suffix) == ("ffconcat", ".mp4"):
        with av.open(str(path)) as container:
            assert container.streams.video, "FFmpeg, left alone, opens the other file"
    with pytest.raises(MediaError) as error:
        open_reader("frames", Media(str(path)), sample_id="a")
    assert str(path) in str(error.value)
    if kind == "ffconcat":
        assert "a playlist, or a list of other files, is refused" in str(error.value)


# Whole corpora made to harm.


def test_a_corpus_of_links_that_lead_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "up").symlink_to(tmp_path)
    for corpus in (How2Sign, GSL, Phoenix14T, CSLDaily, CSLDailyQA):
        with pytest.raises(DatasetError):
            corpus(str(tmp_path)).manifest("dev")

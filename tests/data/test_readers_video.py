"""The reader of video files."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from slt_zoo.data.readers import base, open_reader, video_file, video_timeline
from slt_zoo.data.readers.video_file import ends_early
from slt_zoo.errors import MediaError, MissingMediaError
from slt_zoo.types import Media


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    base._told.clear()
    monkeypatch.setattr(video_timeline, "_known", video_timeline._Timelines(16 * 2**20))


def write(path, count=60, *, times=None, rotation=None, gop=12, codec="libx264", options=None, container=None):
    """Frame i is grey of 4 i; its top left quarter is red. ``times``: of the frames, in milliseconds."""
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, rate=24, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("PyAV before 18 cannot write a rotation")
            stream.set_display_rotation(rotation)
        for i in range(count):
            image = np.full((48, 64, 3), 4 * i, np.uint8)
            image[:24, :32] = (255, 0, 0)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def open_video(path, **media):
    return open_reader("frames", Media(str(path), **media), sample_id="s1")


def read(path, index=None, **media):
    reader = open_video(path, **media)
    return reader.read(torch.arange(reader.num_frames) if index is None else torch.tensor(index))["frames"]


def numbers(frames):
    """Which frames of `write` these are, by the grey at the lower right."""
    return (frames[:, :, -16:, -16:].float().mean((1, 2, 3)) / 4).round().int().tolist()


def sequential(path):
    with av.open(str(path)) as container:
        return torch.from_numpy(np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])).permute(
            0, 3, 1, 2
        )


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.MOV", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("b.webm", "libvpx"),
        ("a.avi", "mpeg4"),
        ("b.avi", "libx264"),
        ("a.ts", "libx264"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_containers_and_random_access(tmp_path, name, codec):
    path = write(tmp_path / name, codec=codec)
    reader = open_video(path)
    assert (reader.num_frames, reader.fps) == (60, 24)
    frames = read(path)
    assert frames.dtype == torch.uint8 and frames.shape == (60, 3, 48, 64) and frames.is_contiguous()
    assert torch.equal(frames, sequential(path))
    assert numbers(frames) == pytest.approx(list(range(60)), abs=1)
    rng = np.random.default_rng(0)
    for index in ([59], [0], [13], [40, 2, 2, 59], rng.integers(0, 60, 20).tolist()):
        assert torch.equal(reader.read(torch.tensor(index))["frames"], frames[index])
    with pytest.raises(IndexError):
        reader.read(torch.tensor([60]))


@pytest.mark.parametrize(
    "options",
    [
        {"x264-params": "open-gop=1:keyint=10:bframes=3:scenecut=0"},
        {"x264-params": "intra-refresh=1:keyint=10:bframes=0"},
        {"bf": "0"},
    ],
)
def test_seeking_gives_the_frames_of_decoding_in_order(tmp_path, options):
    for name in ("a.mp4", "a.mkv"):
        path = write(tmp_path / name, options=options)
        frames = sequential(path)
        reader = open_video(path)
        for i in range(60):
            assert torch.equal(reader.read(torch.tensor([i]))["frames"], frames[[i]]), (name, i)


def test_segment_in_seconds(tmp_path):
    path = write(tmp_path / "a.mp4")
    assert numbers(read(path, start=0.5, end=1.0)) == pytest.approx(list(range(12, 24)), abs=1)
    assert open_video(path, start=2.0).num_frames == 12
    assert torch.equal(read(path, start=0.5, end=1.0), read(path)[12:24])
    with pytest.raises(MediaError, match=r"segment 2.6-2.9 s lies past the end \(2.50 s\)[\s\S]*s1.*a\.mp4"):
        open_video(path, start=2.6, end=2.9)
    with pytest.raises(MediaError, match="no segment"):
        open_video(path, start=2.0, end=1.0)


def test_variable_rate_follows_times(tmp_path, caplog):
    times = [40 * i for i in range(20)] + [800 + 100 * i for i in range(20)]  # 25 a second, then 10
    path = write(tmp_path / "a.mkv", 40, times=times)
    reader = open_video(path)
    assert reader.num_frames == 40 and reader.fps == pytest.approx(40 / 2.8, rel=0.05)
    frames = read(path)
    assert torch.equal(read(path, start=0.4, end=0.8), frames[10:20])
    assert torch.equal(read(path, start=1.0, end=1.5), frames[22:27])
    assert torch.equal(read(path, start=1.5), frames[27:])
    assert "times, not indices" in caplog.text
    with pytest.raises(MediaError, match=r"segment 1.02-1.03 s[\s\S]*40 frames from 0.00"):
        open_video(path, start=1.02, end=1.03)
    with pytest.raises(MediaError, match=r"segment 9-10 s[\s\S]*past the end"):
        open_video(path, start=9.0, end=10.0)


def test_times_count_from_the_begin_of_the_file(tmp_path):
    path = write(tmp_path / "a.mp4", 30, times=[1000 + 40 * i for i in range(30)])
    assert torch.equal(read(path, start=0.4, end=0.8), read(path)[10:20])


@pytest.mark.parametrize(("rotation", "turns"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied(tmp_path, rotation, turns):
    path = write(tmp_path / "a.mp4", 3, rotation=rotation)
    frames = read(path)
    assert torch.equal(frames, torch.rot90(sequential(path), turns, (2, 3)))  # counterclockwise
    assert frames.shape[2:] == ((48, 64) if turns % 2 == 0 else (64, 48))


def test_declared_counts_and_rates_are_compared(tmp_path, caplog):
    path = write(tmp_path / "a.mp4")
    reader = open_video(path, fps=30.0, num_frames=61)
    assert (reader.num_frames, reader.fps) == (60, 24)
    assert "30 frames a second annotated, the file has 24" in caplog.text
    assert "61 frames annotated, 60 found" in caplog.text


# Bad input


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def test_download_without_moov(tmp_path):
    path = cut(write(tmp_path / "a.mp4"), 0.6)
    size = path.stat().st_size
    with pytest.raises(
        MediaError, match=rf"moov atom not found: the download is incomplete, size {size} bytes[\s\S]*s1.*a\.mp4"
    ):
        open_video(path)


def test_truncated_files_say_how_much_decodes(tmp_path):
    path = cut(write(tmp_path / "a.mp4", container={"movflags": "faststart"}), 0.7)
    with pytest.raises(MediaError, match=r"decoded \d+ of 60 frames: the file is cut off[\s\S]*s1.*a\.mp4"):
        open_video(path)
    with pytest.raises(MediaError, match=r"decoded \d+ of 60 frames: the file is cut off"):
        open_video(cut(write(tmp_path / "a.mkv"), 0.6))


@pytest.mark.parametrize("content", [b"", b"hello world" * 100])
def test_no_video_at_all(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(MediaError, match=rf"cannot read as video[\s\S]*s1.*a\.mp4[\s\S]*{len(content)} bytes"):
        open_video(tmp_path / "a.mp4")


def test_missing(tmp_path):
    with pytest.raises(MissingMediaError):
        open_video(tmp_path / "a.mp4")


def test_file_that_goes_away(tmp_path):
    reader = open_video(write(tmp_path / "a.mp4"))
    (tmp_path / "a.mp4").unlink()  # nothing was kept open
    with pytest.raises(MediaError, match=r"cannot read: No such file[\s\S]*s1.*a\.mp4"):
        reader.read(torch.tensor([0]))


def test_sound_alone(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(MediaError, match=r"no video stream[\s\S]*s1[\s\S]*audio \(aac\)"):
        open_video(tmp_path / "a.mp4")


def test_in_workers_of_a_loader(tmp_path):
    reader = open_video(write(tmp_path / "a.mp4"))
    frames = reader.read(torch.arange(60))["frames"]
    loader = torch.utils.data.DataLoader(
        [0, 30, 59],
        batch_size=None,
        num_workers=2,
        collate_fn=lambda i: reader.read(torch.tensor([int(i)]))["frames"],
        multiprocessing_context="fork",
    )
    assert torch.equal(torch.cat(list(loader)), frames[[0, 30, 59]])


# Size


@pytest.mark.parametrize(("rotation", "shape"), [(0, (48, 64)), (90, (64, 48))])
def test_frame_size(tmp_path, rotation, shape):
    path = write(tmp_path / "a.mp4", 3, rotation=rotation)
    whole = read(path)
    assert whole.shape[2:] == shape
    for size in ((24, 30), 24):
        small = open_reader("frames", Media(str(path)), sample_id="s1", frame_size=size).read(torch.arange(3))["frames"]
        expected = tv.resize(whole, [size] if isinstance(size, int) else size, antialias=True)
        assert small.shape == expected.shape and small.is_contiguous()
        assert (
            small.float() - expected.float()
        ).abs().mean() < 3  # a hard edge of colour, which is stored at half size


def test_frame_size_of_real_clips(shared_data):
    for path in sorted((shared_data / "video/how2sign_rgb_front_clips").glob("*.mp4"))[:3]:
        index = torch.tensor([3])
        whole = open_video(path).read(index)["frames"]
        small = open_reader("frames", Media(str(path)), sample_id="s1", frame_size=256).read(index)["frames"]
        bilinear, bicubic = (
            tv.resize(whole, [256], how, antialias=True).float()
            for how in (tv.InterpolationMode.BILINEAR, tv.InterpolationMode.BICUBIC)
        )
        assert small.shape == bilinear.shape == (1, 3, 256, 455)
        off = small.float() - bilinear
        lighter = off.mean((2, 3), keepdim=True)  # without resizing, FFmpeg's conversion to RGB rounds down
        assert (lighter.abs() < 2).all()
        assert (off - lighter).abs().mean() <= (bilinear - bicubic).abs().mean() + 0.5


def test_pictures_that_are_too_large(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(video_file, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match=r"too large to be decoded[\s\S]*at most 3,071 pixels[\s\S]*64x48"):
        open_video(path)


# The timeline is read once


@pytest.fixture
def scans(monkeypatch):
    """Names of the files whose packets are read; nothing is known at first."""
    seen, scan = [], video_timeline._scan
    monkeypatch.setattr(video_timeline, "_known", video_timeline._Timelines(16 * 2**20))
    monkeypatch.setattr(video_timeline, "_scan", lambda path, where: seen.append(path.name) or scan(path, where))
    return seen


def test_packets_are_read_once(tmp_path, scans):
    path = write(tmp_path / "a.mp4")
    first = read(path, start=0.5, end=1.0)
    assert torch.equal(read(path, start=0.5, end=1.0), first)
    assert open_video(path, start=1.0).num_frames == 36 and scans == ["a.mp4"]
    with pytest.raises(MediaError, match="past the end"):
        open_video(path, start=9.0, end=10.0)
    assert scans == ["a.mp4"]


def test_a_file_that_changed_is_read_again(tmp_path, scans):
    path = write(tmp_path / "a.mp4")
    assert open_video(path).num_frames == 60
    write(path, 30)
    assert open_video(path).num_frames == 30 and scans == ["a.mp4"] * 2
    path.write_bytes(b"no video")
    for _ in range(2):
        with pytest.raises(MediaError, match="cannot read as video"):
            open_video(path)
    assert len(scans) == 4, "faults are not remembered"


def test_what_is_remembered_is_small_and_bounded(tmp_path, scans):
    even = write(tmp_path / "even.mp4", 63)
    times = np.cumsum(np.random.default_rng(0).integers(20, 60, 63)).tolist()
    uneven = write(tmp_path / "uneven.mkv", 63, times=times)
    assert video_timeline.timeline_of(even, "").nbytes < 800
    assert 1100 < video_timeline.timeline_of(uneven, "").nbytes < 1250  # 8 bytes a frame
    known = video_timeline._Timelines(limit=2500)
    line = video_timeline.timeline_of(uneven, "")
    for i in range(10):
        known.put((str(i), 0, 0), line)
        known.get(("0", 0, 0))  # used, so it stays
        assert known.size == line.nbytes * len(known._lines) <= 2500
    assert [key[0] for key in known._lines] == ["9", "0"] and known.get(("3", 0, 0)) is None


def test_workers_know_what_their_parent_knew(tmp_path, scans):
    path = write(tmp_path / "a.mp4")
    expected = read(path)
    loader = torch.utils.data.DataLoader(
        [5],
        batch_size=None,
        num_workers=1,
        collate_fn=lambda i: (read(path, [int(i)]), len(scans)),
        multiprocessing_context="fork",
    )
    ((frame, scanned),) = loader
    assert torch.equal(frame, expected[[5]]) and scanned == 1


# Files that lost less than the length of a file can tell


@pytest.mark.parametrize("lost", [1, 40, 300])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_a_file_that_lost_its_last_bytes(tmp_path, name, lost):
    path = write(tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    with pytest.raises(
        MediaError, match=r"decoded \d+ of \w[\s\S]* frames: the file is cut off[\s\S]*s1.*a\."
    ) as error:
        open_video(path)
    told = {"a.mkv": f"{len(whole) - lost} bytes of {len(whole)}", "a.ts": "packets of 188 bytes has"}
    assert told[name] in str(error.value)


def test_a_file_written_to_a_pipe_declares_nothing(tmp_path):
    path = write(tmp_path / "a.mkv", container={"live": "1"})
    assert ends_early(path) is None and open_video(path).num_frames == 60


# Real files


def test_real_clips(shared_data):
    paths = sorted((shared_data / "video").glob("*/*.mp4"))
    counts = []
    for path in paths:
        reader = open_video(path)
        frames = reader.read(torch.arange(reader.num_frames))["frames"]
        assert reader.fps == 24 and torch.equal(frames, sequential(path))
        last = reader.num_frames - 1
        index = torch.tensor([last, 0, last // 2, last])
        assert torch.equal(reader.read(index)["frames"], frames[index])
        counts.append(reader.num_frames)
    assert sorted(counts) == [15, 15, 16, 17, 22, 27, 29, 31, 39, 41, 41, 47, 59, 82, 101]

"""Single images: what is refused before it is decoded, what is decoded smaller, and damage of every kind."""

from __future__ import annotations

import io
import random
import resource
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from slt_zoo.data.readers.images import MAX_PIXELS, decode_image, fit_size
from slt_zoo.errors import MediaError


def picture(width=96, height=80, seed=0):
    """Smooth colours with some noise, as a camera gives them."""
    rng = np.random.default_rng(seed)
    colours = Image.fromarray(rng.integers(0, 255, (7, 7, 3), dtype=np.uint8))
    smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float64)
    return Image.fromarray((smooth + rng.normal(0, 3, smooth.shape)).clip(0, 255).astype(np.uint8))


def encoded(image, form="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decode(tmp_path, content, size=None):
    path = tmp_path / "17.img"
    path.write_bytes(content)
    return decode_image(path, size, f"cannot decode {str(path)!r} (sample s1, frame 17)")


# Too large


def flat_png(width, height):
    """A sound PNG of zeros, one bit a pixel: a thousandth of what it takes in memory."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0" * (((width + 7) // 8 + 1) * height), 9)
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_that_declares(width, height):
    content = bytearray(encoded(picture()))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize("make", [flat_png, jpeg_that_declares])
@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (11_000, 11_000), (40_000, 40_000)])
def test_bombs_are_refused_and_nothing_is_decoded(tmp_path, monkeypatch, make, width, height):
    if make is flat_png:
        content = flat_png(width, height if height < 20_000 else 100)
        if height >= 20_000:  # the head alone declares the size: a person cannot wait for 1.6 thousand million pixels
            content = content[:16] + struct.pack(">II", width, height) + content[24:]
            content = content[:29] + struct.pack(">I", zlib.crc32(content[12:29])) + content[33:]
    else:
        content = make(width, height)
    assert len(content) < 200_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    allowed, before = Image.MAX_IMAGE_PIXELS, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(MediaError, match=r"cannot decode '.*17\.img' \(sample s1, frame 17\)") as error:
            decode(tmp_path, content)
    told = str(error.value)
    assert f"{width}x{height} pixels" in told or str(width * height) in told
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    assert allowed == Image.MAX_IMAGE_PIXELS, "the user's setting stays"


def test_the_largest_image_that_is_decoded(tmp_path):
    assert decode(tmp_path, flat_png(8000, 8000)).size == 3 * MAX_PIXELS
    with pytest.raises(MediaError, match=r"it declares 8000x8001 pixels, more than 64,000,000 are not decoded"):
        decode(tmp_path, flat_png(8000, 8001))


def test_a_warning_that_the_user_made_an_error(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MediaError, match="frame 17"):
            decode(tmp_path, flat_png(11_000, 11_000))


def test_other_formats_are_refused(tmp_path):
    for form in ("GIF", "TIFF", "BMP"):
        with pytest.raises(MediaError, match="cannot identify image file"):
            decode(tmp_path, encoded(picture(), form))


# Smaller than in the file


def test_fit_size():
    assert fit_size(None, 480, 848) == (480, 848) and fit_size((7, 9), 480, 848) == (7, 9)
    for height, width, size in [(480, 848, 256), (848, 480, 256), (260, 210, 256), (512, 512, 224), (3, 100, 1)]:
        pixels = torch.zeros(3, height, width, dtype=torch.uint8)
        assert fit_size(size, height, width) == tuple(tv.resize(pixels, [size]).shape[1:])


def photo(path, index):
    """A frame of a real recording, its middle, 512 x 512."""
    import av

    with av.open(str(path)) as container:
        frame = next(f for i, f in enumerate(container.decode(video=0)) if i == index).to_image()
    side = min(frame.size)
    left = (frame.width - side) // 2
    return frame.crop((left, 0, left + side, side)).resize((512, 512), Image.Resampling.LANCZOS)


def resized(image, height, width, how):
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return tv.resize(pixels, [height, width], how, antialias=True).permute(1, 2, 0).float().numpy()


def check_near(tmp_path, content, size):
    """Decoding small is as near to full decoding and resizing as two usual filters of resizing are to each other."""
    full = Image.open(io.BytesIO(content)).convert("RGB")
    small = decode(tmp_path, content, size).astype(np.float32)
    bilinear, bicubic = (
        resized(full, *small.shape[:2], h) for h in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    )
    filters = np.abs(bilinear - bicubic).mean()
    near, far = sorted(np.abs(small - other).mean() for other in (bilinear, bicubic))
    filters = max(filters, 0.75)  # of 255; below, what differs is rounding and noise
    assert near <= filters and far <= 2 * filters, (near, far, filters)
    assert np.abs(small.mean((0, 1)) - bilinear.mean((0, 1))).max() < 0.5, "no brighter, no other colour"


@pytest.mark.parametrize("size", [256, 224, 128, (100, 140)])
def test_decoded_small_is_as_good(tmp_path, size):
    for options in ({"quality": 90}, {"quality": 75, "subsampling": 0}, {"quality": 90, "progressive": True}):
        check_near(tmp_path, encoded(picture(512, 512), **options), size)


def test_decoded_small_is_as_good_on_real_frames(tmp_path, shared_data):
    for seed, path in enumerate(sorted((shared_data / "video/how2sign_rgb_front_clips").glob("*.mp4"))[:5]):
        content = encoded(photo(path, 3 * seed), quality=90)
        for size in (256, 224):
            check_near(tmp_path, content, size)


def test_what_is_not_smaller_is_decoded_in_full_and_resized(tmp_path):
    for content in (encoded(picture(300, 280)), encoded(picture(300, 280), "PNG")):
        full = Image.open(io.BytesIO(content)).convert("RGB")
        for size in ((256, 256), (300, 400)):
            expected = resized(full, *size, InterpolationMode.BILINEAR)
            assert np.array_equal(decode(tmp_path, content, size), expected.astype(np.uint8))
        assert np.array_equal(decode(tmp_path, content), np.asarray(full))
        assert np.array_equal(decode(tmp_path, content, 280), np.asarray(full))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_modes_of_jpeg_decoded_small(tmp_path, mode):
    content = encoded(picture(512, 512).convert(mode))
    expected = resized(Image.open(io.BytesIO(content)).convert("RGB"), 256, 256, InterpolationMode.BILINEAR)
    assert np.abs(decode(tmp_path, content, 256) - expected).mean() < 2


# Damage


def originals():
    image, turned = picture(), Image.Exif()
    turned[0x0112] = 6
    return [
        encoded(image),
        encoded(image, progressive=True),
        encoded(image.convert("L")),
        encoded(image.convert("CMYK")),
        encoded(image, exif=turned, comment=b"words", icc_profile=b"x" * 200, restart_marker_rows=1),
        encoded(image, "PNG"),
        encoded(image.convert("P"), "PNG", transparency=3),
        encoded(image.convert("RGBA"), "PNG"),
    ]


@pytest.mark.parametrize("size", [None, (40, 48)])
def test_a_file_cut_anywhere_is_an_error_and_never_grey(tmp_path, size):
    for content in originals()[:6:5] + originals()[1:2]:
        whole, decoded = decode(tmp_path, content, size), 0
        for length in range(0, len(content), 7):
            try:
                assert np.array_equal(decode(tmp_path, content[:length], size), whole)  # only what follows was lost
                decoded += 1
            except MediaError as error:
                assert "(sample s1, frame 17)" in str(error)
        assert decoded < 5


def damaged(content, draw):
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 3, 10])):
        at = draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 400))
        kind = draw.randrange(3)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            del data[at : at + draw.randrange(60)]
        else:
            data[at:at] = draw.randbytes(draw.randrange(30))
    return bytes(data)


@pytest.mark.filterwarnings("ignore:.*EXIF.*", "ignore:Tag data.*")
def test_any_damage_is_an_error_or_pixels(tmp_path):
    draw, told = random.Random(0), 0
    files = originals()
    for _ in range(400):
        content = damaged(draw.choice(files), draw)
        for size in (None, (40, 48)):
            try:
                image = decode(tmp_path, content, size)
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
                assert size is None or image.shape[:2] == size
            except MediaError as error:
                told += 1
                assert "17.img' (sample s1, frame 17): " in str(error)
    assert told > 200

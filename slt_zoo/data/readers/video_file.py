"""Opening a video file, and what can be told of one that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slt_zoo.data.readers.containers import open_container, why_refused
from slt_zoo.data.readers.images import MAX_PIXELS
from slt_zoo.errors import MediaError, first_few

__all__ = ["ends_early", "looks", "opened"]


@contextmanager
def opened(path: Path, where: str) -> Iterator[tuple[Any, Any]]:
    """Container and video stream; what the decoder says is told as `MediaError`."""
    import av

    try:
        with open_container(path) as container:
            stream = _video_stream(container, where)
            stream.codec_context.thread_count = 1  # a loader's workers are the parallelism
            yield container, stream
    except av.error.FFmpegError as cause:
        if isinstance(cause, OSError) and cause.errno is not None and 0 < cause.errno < 200:  # the disk's, not FFmpeg's
            raise MediaError(f"cannot read: {cause.strerror}", where=where) from cause
        raise MediaError(_why_not(path, cause), where=where, found=looks(path)) from cause


def _video_stream(container: Any, where: str) -> Any:
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # the cover of a recording
            if stream.codec_context is None:
                raise MediaError("no decoder for the video stream", where=where)
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > MAX_PIXELS:
                raise MediaError(
                    "the pictures are too large to be decoded",
                    where=where,
                    expected=f"at most {MAX_PIXELS:,} pixels",
                    found=f"{width}x{height}",
                )
            return stream
    found = [f"{s.type} ({s.codec_context.name if s.codec_context else 'unknown'})" for s in container.streams]
    raise MediaError("no video stream", where=where, found=first_few(found) or "no stream at all")


def looks(path: Path) -> str:
    """Size and first bytes, for messages."""
    size = path.stat().st_size
    with path.open("rb") as file:
        return f"{size} bytes" + (f", beginning with {file.read(12)!r}" if size else "")


def _why_not(path: Path, cause: Exception) -> str:
    size = path.stat().st_size
    if size and _lacks_moov(path, size):
        return f"moov atom not found: the download is incomplete, size {size} bytes"
    return why_refused(cause) or f"cannot read as video: {getattr(cause, 'strerror', None) or cause}"


def _lacks_moov(path: Path, size: int) -> bool:
    """Whether this is MP4 (or MOV) without its table of contents; boxes are a length and a name of 4 bytes each."""
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, name = int.from_bytes(head[:4], "big"), head[4:8]
            if name == b"moov" or (at == 0 and name not in (b"ftyp", b"mdat", b"free", b"wide", b"skip")):
                return False
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:  # 0: to the end of the file
                break
            at += length
    return at > 0


def ends_early(path: Path) -> str | None:
    """Why a file is surely cut off, though all that is left of it can be read; None: nothing says so.

    A Matroska file declares the length of its segment, unless it was written to a pipe. A transport stream declares
    nothing, but consists of packets of 188 bytes: one that is cut between two packets looks whole.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] == b"\x1aE\xdf\xa3":
        whole = _matroska_size(head)
        return None if whole is None or size >= whole else f"{size} bytes of {whole}"
    if head[:1] == head[188:189] == head[376:377] == b"G" and size % 188:
        return f"the last of its packets of 188 bytes has {size % 188}"
    return None


def _matroska_size(head: bytes) -> int | None:
    """Bytes of a whole file: a head, then a segment that holds all the rest; None: not declared."""
    length, at = _number(head, 4)
    if length is None or head[at + length : at + length + 4] != b"\x18S\x80g":
        return None
    length, at = _number(head, at + length + 4)
    return None if length is None else at + length


def _number(head: bytes, at: int) -> tuple[int | None, int]:
    """A number of Matroska, as long as its first byte has zeros in front, and where it ends; all ones: unknown."""
    if at >= len(head) or head[at] == 0:
        return None, at
    width = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), at + width

"""Opening a video file so that FFmpeg reads this file and no other."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

__all__ = ["open_container", "why_refused"]

_OPTIONS = {
    "format_whitelist": "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,flv",
    "protocol_whitelist": "file",
}


def open_container(path: Path) -> Any:
    """The container of a video file, to be used in a ``with`` statement.

    FFmpeg tells formats by content: a playlist that is called ``.mp4`` would have it open whatever files and addresses
    the playlist names. Only containers that hold their own streams are tried, and only files.

    Raises:
        av.error.FFmpegError: not such a container; see `why_refused`.
    """
    import av

    # titles and the like in another encoding than UTF-8 are nobody's fault here; PyAV 19 thinks so itself
    older: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(str(path), options=_OPTIONS, **older)


def why_refused(fault: Exception) -> str | None:
    """A sentence, where the format itself was refused."""
    if isinstance(fault, ValueError) and getattr(fault, "errno", None) == errno.EINVAL:
        return "not a container of video that is read: a playlist, or a list of other files, is refused"
    return None

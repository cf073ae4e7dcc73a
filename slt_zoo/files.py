"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_folder", "replacing", "write_atomically"]

_UMASK = os.umask(0)
os.umask(_UMASK)  # asked once: to ask is to change it, for all threads


def cache_folder(name: str) -> Path:
    """Where things are kept on this machine between runs: ``$SLT_ZOO_CACHE/<name>``, or below ``~/.cache/slt_zoo``."""
    return Path(os.environ.get("SLT_ZOO_CACHE") or "~/.cache/slt_zoo").expanduser() / name


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file to write, which takes the path's place when all went well and is gone otherwise.

    Readers find the old file or the whole new one, never a part, also when the power goes. Makes the folder.

    Raises:
        OSError: of the path, not of the temporary file: a full disk, no permission, a folder of that name.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_UMASK)  # a temporary file is private, a result is not
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # a name must not outlive its content
        temporary.replace(path)
    except OSError as cause:
        temporary.unlink(missing_ok=True)
        raise OSError(cause.errno, cause.strerror, str(path)) from cause
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text by `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")

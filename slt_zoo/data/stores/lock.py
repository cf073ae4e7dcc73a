"""One extraction at a time fills a folder: a file says who does."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slt_zoo.errors import StoreError

__all__ = ["FolderLock"]


@dataclass(frozen=True)
class FolderLock:
    """A file that is there while somebody writes.

    Copies of it, in processes that were forked or spawned, are the same holder. What a process has left that is gone is
    taken over where that can be known: on the same machine.

    Attributes:
        path: of the file.
        holder: what it says: machine, process, begin and a word of its own.
    """

    path: Path
    holder: dict[str, Any] = field(
        default_factory=lambda: {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "token": uuid.uuid4().hex,
        }
    )

    def take(self) -> None:
        """Take it, or go on holding it.

        Raises:
            StoreError: another holds it; says who.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while not self._made():
            there = self._there()
            if there is None:  # given back meanwhile
                continue
            if there == self.holder:
                return
            if not self._is_gone(there):
                raise self._held(there)
            self._remove(there)

    def release(self) -> None:
        """Give it back, if it is held; the folder goes where nothing else is in it."""
        if self._there() == self.holder:
            self._remove(self.holder)
            if not any(self.path.parent.iterdir()):
                self.path.parent.rmdir()

    def _made(self) -> bool:
        try:
            handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self.holder, file)
        return True

    def _there(self) -> dict[str, Any] | None:
        """Who holds it; None: nobody."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:  # it is being written, or its writer died in that moment
            return {}
        return content if isinstance(content, dict) else {}

    def _is_gone(self, there: dict[str, Any]) -> bool:
        if there.get("host") != self.holder["host"] or not isinstance(there.get("pid"), int):
            return False
        if there["pid"] == self.holder["pid"]:  # an earlier process of this number, or what this one has dropped
            return True
        try:
            os.kill(there["pid"], 0)
        except ProcessLookupError:
            return True
        except OSError:  # there, and somebody else's
            return False
        return False

    def _remove(self, there: dict[str, Any]) -> None:
        """Remove the file if it still says this: of two that find it left behind, one takes it over."""
        aside = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex}.tmp")
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        if FolderLock(aside, self.holder)._there() != there:  # another was faster and holds it now
            aside.rename(self.path)
        else:
            aside.unlink()

    def _held(self, there: dict[str, Any]) -> StoreError:
        who = f"process {there.get('pid', '?')} on {there.get('host', '?')} since {there.get('since', '?')}"
        return StoreError(
            "another extraction is filling this store",
            where=self.path.parent.parent,
            found=who if there else "its name is not written yet",
            todo=f"wait for it, or name another folder with --out. If that process is gone, delete {self.path}",
        )

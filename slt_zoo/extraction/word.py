"""What processes tell each other, and the one that started them: by Lightning's broadcast, and by a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from lightning.pytorch import Trainer

from slt_zoo.errors import DatasetError, MediaError, StoreError

__all__ = ["Outcome", "Word", "gathered", "on_first"]

T = TypeVar("T")


def on_first(trainer: Trainer, decide: Callable[[], T]) -> T:
    """What the first process decides, on all of them; its error too, so that none waits for it for ever.

    Raises:
        StoreError: in other processes, whatever the first one raised.
    """
    answer: T | None = None
    fault: Exception | None = None
    if trainer.is_global_zero:
        try:
            answer = decide()
        except Exception as error:
            fault = error
    answer, why = trainer.strategy.broadcast((answer, None if fault is None else str(fault)))
    if fault is not None:
        raise fault
    if why is not None:
        raise StoreError(why)
    return answer  # type: ignore[return-value]  # there is one where there is no fault


def gathered(trainer: Trainer, own: Mapping[str, str]) -> dict[str, str]:
    """The entries of all processes, on all of them; each waits for the others."""
    together: dict[str, str] = {}
    for rank in range(trainer.world_size):
        together |= trainer.strategy.broadcast(dict(own), src=rank)
    return together


@dataclass(frozen=True)
class Outcome:
    """What a process tells the one that started it.

    Attributes:
        pending: samples that were to be done.
        left_out: that could not be read, with the reason.
        fault: why it could not go on; None: it did.
        of_store: the fault is the store's and not that of media.
    """

    pending: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    of_store: bool = False

    def error(self) -> DatasetError | None:
        """The fault, to be raised."""
        return None if self.fault is None else (StoreError if self.of_store else MediaError)(self.fault)


@dataclass(frozen=True)
class Word:
    """A file for an `Outcome`: Lightning gives back a traceback alone of the processes that it forks or spawns.

    Attributes:
        path: of the file.
    """

    path: Path

    def leave(self, outcome: Outcome) -> None:
        """Write it; a fault stays where there is one."""
        earlier = self.read()
        if earlier is None or earlier.fault is None:
            temporary = self.path.with_name(f"{os.getpid()}.tmp")
            temporary.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
            temporary.replace(self.path)

    def fail(self, error: Exception) -> None:
        """Say why this process cannot go on."""
        self.leave(Outcome(fault=str(error), of_store=isinstance(error, StoreError)))

    def read(self) -> Outcome | None:
        """What was left."""
        return Outcome(**json.loads(self.path.read_text(encoding="utf-8"))) if self.path.is_file() else None

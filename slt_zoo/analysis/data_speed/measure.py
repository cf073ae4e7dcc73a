"""Timing of alternatives in turn, and memory of a process with its workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["Amount", "Times", "interleave", "pss_mib", "ratio", "table_of"]


@dataclass(frozen=True)
class Amount:
    """What one call has read."""

    samples: int
    frames: int
    bytes: int


@dataclass
class Times:
    """Of one alternative, a round each: what was read, seconds by the clock, and of this process's processor."""

    amounts: list[Amount] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def interleave(
    tasks: Mapping[str, Callable[[int], Amount]], seconds: float, *, rounds: int = 3, most: int = 50
) -> dict[str, Times]:
    """Call all tasks in turn, round after round, so that what else the machine does falls on all of them alike.

    Args:
        tasks: by name; each is called with the number of the round and says what it has read. In a round all read the
            same.
        seconds: no new round is begun after this long ...
        rounds: ... but so many there are, after one that is not counted.
        most: and no more than these.
    """
    times: dict[str, Times] = {}
    end = time.monotonic() + seconds
    for turn in range(-1, most):
        if turn >= rounds and time.monotonic() > end:
            break
        names = list(tasks)[:: 1 if turn % 2 else -1]  # nobody is always the first
        for name in names:
            wall, cpu = time.perf_counter(), time.process_time()
            amount = tasks[name](max(turn, 0))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if turn >= 0:
                entry = times.setdefault(name, Times())
                entry.amounts.append(amount)
                entry.wall.append(wall)
                entry.cpu.append(cpu)
    return times


def ratio(times: Mapping[str, Times], fast: str, slow: str, clock: str = "wall") -> float:
    """How many times as fast one alternative is as another: the median over rounds of the ratio within each."""
    pairs = zip(getattr(times[slow], clock), getattr(times[fast], clock), strict=True)
    return float(median(a / max(b, 1e-9) for a, b in pairs))


def table_of(times: Times) -> dict[str, Any]:
    """Samples, frames and MiB a second, each the median of the rounds, as plain data."""

    def middle(name: str, scale: float = 1.0, clock: str = "wall") -> float:
        seconds = getattr(times, clock)
        rates = (getattr(a, name) / scale / max(s, 1e-9) for a, s in zip(times.amounts, seconds, strict=True))
        return float(median(rates))

    cpu = median(c / max(a.frames, 1) for a, c in zip(times.amounts, times.cpu, strict=True))
    return {
        "samples_per_s": middle("samples"),
        "frames_per_s": middle("frames"),
        "mib_per_s": middle("bytes", 2**20),
        "samples_per_cpu_s": middle("samples", clock="cpu"),
        "cpu_ms_per_frame": 1000 * cpu,
        "rounds": len(times.wall),
    }


def pss_mib(processes: list[int]) -> float | None:
    """Memory of some processes in MiB, what they share counted once; None where the system does not say (no Linux)."""
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            return None
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024

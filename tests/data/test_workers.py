"""Memory of workers: what was freed goes back, and faults that are told do not pile up."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
import torch

from slt_zoo.data import workers
from slt_zoo.data.readers import base

linux = pytest.mark.skipif(sys.platform != "linux", reason="measured in /proc, freed by glibc")


def resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def holes(_: object) -> tuple[int, int]:
    """Resident bytes before and after; half of what was written is free then, and lies between what is not."""
    blocks = [bytearray(b"x" * 100_000) for _ in range(800)]
    del blocks[::2]
    before = resident()
    workers.give_back_memory()
    return before, resident() + 0 * len(blocks)


@linux
def test_freed_memory_goes_back_in_a_worker_and_nowhere_else():
    loader = torch.utils.data.DataLoader(
        [0], batch_size=None, num_workers=1, collate_fn=holes, multiprocessing_context="fork"
    )
    ((before, after),) = loader
    assert before - after > 20_000_000
    before, after = holes(None)
    assert abs(before - after) < 5_000_000, "the user's own process is left as it is"


@linux
def test_another_c_library(monkeypatch):
    monkeypatch.setattr(workers.ctypes, "CDLL", lambda name: object())
    workers._trim.cache_clear()
    assert workers._trim() is None
    workers._trim.cache_clear()


def test_what_was_told_is_not_kept_for_ever(caplog):
    base._told.clear()
    with caplog.at_level(logging.DEBUG, logger=base.log.name):
        for i in range(100):
            base.warn_few("faults", f"sample {i % 50}", lambda: "odd")
    assert len(base._told["faults"]) == 5
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [*(f"sample {i}: odd" for i in range(5)), "further faults are logged at debug level"]
    assert sum(r.levelno == logging.DEBUG for r in caplog.records) == 90
    caplog.clear()
    base.warn_few("faults", "sample 99", lambda: pytest.fail("composed for nobody"))
    assert not caplog.records
    base._told.clear()

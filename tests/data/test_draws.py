"""Random draws by seed, epoch and id."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from slt_zoo.data.draws import draws

KEYS = [
    (0, 0, "a"),
    (7, 2, "clip-1"),
    (7, 3, "clip-1"),
    (1, 0, "ä"),
]


def drawn(seed: int, epoch: int, sample_id: str) -> list[int]:
    return draws(seed, epoch, sample_id).integers(1000, size=4).tolist()


@pytest.mark.parametrize(("key", "numbers"), [(KEYS[0], [187, 936, 294, 656]), (KEYS[1], [995, 368, 433, 428])])
def test_the_numbers_stay(key, numbers):
    """Runs of earlier versions go on with the draws that they began with."""
    assert drawn(*key) == numbers


def test_each_of_the_three_changes_them():
    assert len({str(drawn(*key)) for key in ((0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"))}) == 4


def test_another_process_draws_the_same():
    code = (
        "import json, sys; from slt_zoo.data.draws import draws\n"
        "print(json.dumps([draws(*key).integers(1000, size=4).tolist() for key in json.loads(sys.argv[1])]))"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(KEYS)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        assert json.loads(done.stdout) == [drawn(*key) for key in KEYS]

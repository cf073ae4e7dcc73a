"""One person out of several: equal confidences decide nothing."""

import numpy as np
import pytest

from slt_zoo.data.readers.persons import follow_person
from slt_zoo.errors import MediaError


def frame(*confidences):
    coords = np.stack([np.full((4, 2), 100.0 * k, np.float32) for k in range(len(confidences))])
    return coords, np.stack([np.full(4, c, np.float32) for c in confidences])


def test_persons_with_equal_confidence_are_a_question():
    with pytest.raises(MediaError, match=r"2 persons with the same confidence: which one signs[\s\S]*here"):
        follow_person([frame(1, 1), frame(1, 1, 0.5)], 4, "here")


@pytest.mark.parametrize("told", [frame(0.5, 1), frame(0.9, 0.8, 0.9)])
def test_one_frame_that_tells_is_enough(told):
    frames = [frame(0.9, 0.9), frame(0.5, 1), frame(0.9, 0.9)]
    coords, conf = follow_person([*frames, told], 4, "here")
    assert coords[:3].min() == coords[:3].max() == 100 and conf[1].min() == 1


def test_nobody_seen_is_no_question():
    empty = (np.zeros((0, 4, 2), np.float32), np.zeros((0, 4), np.float32))
    assert not follow_person([frame(0, 0), empty], 4, "here")[1].any()

"""SplitEvaluation: means of a split by their own counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from slt_zoo.errors import UnknownNameError
from slt_zoo.models.evaluation import SplitEvaluation
from slt_zoo.types import Losses


def means(*batches: Losses) -> dict[str, float]:
    """Of batches of two clips each."""
    trainer = SimpleNamespace(sanity_checking=False)
    evaluation = SplitEvaluation(SimpleNamespace(device=torch.device("cpu"), trainer=trainer), "dev")
    for batch in batches:
        evaluation.add(["a", "b"], batch, {})
    return evaluation._means()


def losses(total: float, share: float, **counts) -> Losses:
    return Losses(torch.tensor(total), {"share": torch.tensor(share)}, **counts)


def test_clips_are_counted_where_nothing_else_is():
    assert means(losses(1.0, 0.0), losses(4.0, 1.0)) == {"loss": 2.5, "share": 0.5}


def test_one_count_is_of_all_terms():
    assert means(losses(1.0, 0.0, count=1), losses(4.0, 1.0, count=3)) == {"loss": 3.25, "share": 0.75}


def test_a_term_may_have_a_count_of_its_own():
    first = losses(1.0, 0.0, count=1, counts={"loss": torch.tensor(0.5)})
    second = losses(4.0, 1.0, count=3, counts={"loss": torch.tensor(1.0)})
    assert means(first, second) == {"loss": 3.0, "share": 0.75}


def test_the_mean_of_nothing_has_no_weight():
    nothing = losses(1.0, float("nan"), counts={"share": 0})
    assert means(nothing, losses(4.0, 1.0)) == {"loss": 2.5, "share": 1.0}
    assert means(losses(float("nan"), 1.0, count=0), losses(4.0, 1.0, count=2)) == {"loss": 4.0, "share": 1.0}
    assert torch.tensor(means(nothing)["share"]).isnan(), "and of nothing at all there is none"


def test_a_loss_that_is_no_number_is_not_hidden():
    assert torch.tensor(means(losses(float("nan"), 1.0), losses(4.0, 1.0))["loss"]).isnan()


def test_a_term_that_some_batches_lack_is_the_mean_of_the_others():
    assert means(Losses(torch.tensor(1.0)), losses(4.0, 1.0)) == {"loss": 2.5, "share": 1.0}


def test_a_count_of_no_term_is_refused():
    with pytest.raises(UnknownNameError, match="unknown term with a count 'shares'"):
        means(losses(1.0, 0.0, counts={"shares": 3}))

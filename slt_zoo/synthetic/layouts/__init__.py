"""One module a corpus: its folders, names and annotation files."""

from __future__ import annotations

from slt_zoo.errors import UnknownNameError
from slt_zoo.synthetic.layouts.base import Layout
from slt_zoo.synthetic.layouts.csl_daily import CSLDailyLayout
from slt_zoo.synthetic.layouts.csl_daily_qa import CSLDailyQALayout
from slt_zoo.synthetic.layouts.gsl import GSLLayout
from slt_zoo.synthetic.layouts.how2sign import How2SignLayout
from slt_zoo.synthetic.layouts.phoenix14t import Phoenix14TLayout
from slt_zoo.synthetic.layouts.phoenix14t_qa import Phoenix14TQALayout
from slt_zoo.synthetic.layouts.questions import QuestionLayout

__all__ = ["LAYOUTS", "Layout", "QuestionLayout", "layout_of"]

LAYOUTS: dict[str, Layout] = {
    layout.corpus: layout
    for layout in (
        Phoenix14TLayout(),
        Phoenix14TQALayout(),
        CSLDailyLayout(),
        CSLDailyQALayout(),
        How2SignLayout(),
        GSLLayout(),
    )
}
"""By the class name of the data module."""


def layout_of(corpus: str) -> Layout:
    """The layout of a corpus.

    Raises:
        UnknownNameError: it cannot be simulated; the message has the nearest names.
    """
    if corpus not in LAYOUTS:
        raise UnknownNameError("corpus to simulate", corpus, LAYOUTS)
    return LAYOUTS[corpus]

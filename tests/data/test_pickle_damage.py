"""One damage of CSL-Daily's pickle: the same samples, those of the rows that are left, or an error with the entry."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slt_zoo.data import official
from slt_zoo.errors import AnnotationError

Record = tuple[Any, ...]

INFO = {"signer": 1, "time": 0, "length": 30, "label_gloss": ["A", "B"], "label_char": ["我", "书", "。"]}
VALUES = [None, 3, -1.5, "", "x", [], {}, ["A", 3], "../../x", b"x", [["A"]], "\ud800", ("书",), True]


@pytest.mark.parametrize("examples", [250, pytest.param(5000, marks=pytest.mark.slow)])
def test_one_damage_of_the_pickle_gives_no_wrong_sample(examples, tmp_path):
    path = tmp_path / "csl2020ct_v2.pkl"
    names = [f"S00000{i}_P0001_T00" for i in range(3)]
    info = [{"name": name, **INFO, "label_postag": ["n"]} for name in names]

    def records() -> list[Record]:
        return [(e.id, e.text, e.gloss, e.signer, e.num_frames) for e in official.read_csl_daily_pickle(path)]

    def literal(row: Any) -> Record | None:
        try:
            return (row["name"], "".join(row["label_char"]).replace(" ", ""), tuple(row["label_gloss"]))
        except (TypeError, KeyError):
            return None

    @settings(max_examples=examples, derandomize=True, deadline=None, database=None)
    @given(st.data())
    def check(data):
        rows, which = copy.deepcopy(info), data.draw(st.integers(0, 2))
        kind = data.draw(
            st.sampled_from(["cut", "key gone", "other value", "row gone", "row twice", "other row", "top"])
        )
        key = data.draw(st.sampled_from([k for k in info[0] if k not in ("time", "label_postag")]))
        value = data.draw(st.sampled_from(VALUES))
        if kind == "key gone":
            del rows[which][key]
        elif kind == "other value":
            rows[which][key] = value
        elif kind == "row gone":
            del rows[which]
        elif kind == "row twice":
            rows.append(copy.deepcopy(rows[which]))
        elif kind == "other row":
            rows[which] = value
        content: Any = {"info": rows, "gloss_map": []} if kind != "top" else value
        dumped = pickle.dumps(content)
        path.write_bytes(dumped[: data.draw(st.integers(0, len(dumped) - 1))] if kind == "cut" else dumped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = records()
        except AnnotationError as error:
            assert kind not in ("row gone", "row twice") and str(path) in str(error)
            entry = re.search(r"entry (\d)", str(error))
            assert entry is None or int(entry[1]) == which + 1
            assert entry is not None or kind in ("cut", "top")
            return
        assert kind not in ("cut", "top", "key gone", "other row"), f"{kind} {key}: {found}"
        assert [r[:3] for r in found] in ([literal(r) for r in rows], [literal(r) for r in rows[:3]]), (
            f"{kind} {key} {value}"
        )
        assert all(type(r[4]) is int and isinstance(r[3], str) for r in found)

    check()

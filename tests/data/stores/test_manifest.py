"""A manifest that was changed or damaged is refused when its store is opened."""

from __future__ import annotations

import json

import pytest
from store_samples import write

from slt_zoo.data.stores import open_store
from slt_zoo.errors import StoreError


def _first(content, name, value):
    content["shards"][0][name] = value if name == "size" else [value, *content["shards"][0][name][1:]]


@pytest.mark.parametrize("kind", ["features", "pose"])
@pytest.mark.parametrize(
    "damage",
    [
        *(lambda c, v=v: _first(c, "fps", v) for v in (-25, 0, float("nan"), float("inf"), True, "25", [1], 10**400)),
        *(lambda c, v=v: _first(c, "frames", v) for v in (-5, 0, 10**30, "7", 1.5, [1])),
        *(lambda c, v=v: _first(c, "size", v) for v in (float("inf"), -1, "9")),
        *(lambda c, v=v: _first(c, "ids", v) for v in (7, "", None)),
        *(lambda c, v=v: c.update(shape=v) for v in ([], [float("inf")] * 2, ["a"], [3, 3, 3])),
        *(lambda c, v=v: c["made_by"].update(stride=v) for v in (1.5, 0, 10**30, "1")),
        lambda c: c["made_by"].update(points=["a", "b", "c"]),
        lambda c: c.update(complete="no"),
        lambda c: c.update(media=[]),
        lambda c: c.update(annotations=[]),
        lambda c: _first(c, "rows", c["shards"][0]["rows"][0] + 1) or c["shards"][0]["rows"].__setitem__(-1, 1),
    ],
)
def test_a_manifest_that_was_changed_is_refused(kind, damage, tmp_path):
    write(tmp_path / "s", kind=kind)
    path = tmp_path / "s" / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(StoreError):
        open_store(tmp_path / "s")


def test_a_deep_manifest_is_refused(tmp_path):
    write(tmp_path / "s")
    (tmp_path / "s" / "manifest.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path / "s")

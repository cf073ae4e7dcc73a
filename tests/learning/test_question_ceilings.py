"""Simulated questions: what the video alone can tell, by an oracle (seconds) and by a model (``make test-slow``).

Simulated signing is no sign language; no score here is a translation result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pytest

from slt_zoo.cli import main
from slt_zoo.metrics import load_predictions, load_scores
from slt_zoo.synthetic.ceilings import asker_of, ceilings
from slt_zoo.synthetic.layouts import layout_of
from slt_zoo.synthetic.questions import Asker
from slt_zoo.synthetic.sentences import Row
from slt_zoo.testing import simulated

__all__ = ["simulated"]  # a fixture


@dataclass(frozen=True)
class Judged:
    """Shares of what was said.

    Attributes:
        exact: sentences that are right as a whole.
        homonyms: homonyms said with their own words and not with their partner's.
        others: words that no homonym stands for which were said.
        slots: number of homonyms.
        samples: number of sentences.
    """

    exact: float
    homonyms: float
    others: float
    slots: int
    samples: int


def judge(asker: Asker, rows: Sequence[Row], said: Mapping[str, str]) -> Judged:
    exact, right, wanted, found = 0, [], 0, 0
    for row in rows:
        words, spoken = row.text.split(), said[row.id].split()
        exact += said[row.id] == row.text
        own = asker.own(row.gloss, row.text)
        for member, places in own:
            gloss = [asker.partners[g] if g == member else g for g in row.gloss]
            other = asker.texts[" ".join(gloss)].split()
            mine = words[places.start : places.stop]
            theirs = other[places.start : len(other) - len(words) + places.stop]
            right.append(set(mine) <= set(spoken) and not set(theirs) <= set(spoken))
        hidden = {k for _, places in own for k in places}
        rest = Counter(word for k, word in enumerate(words) if k not in hidden)
        wanted += rest.total()
        found += (rest & Counter(spoken)).total()
    return Judged(exact / len(rows), float(np.mean(right)), found / wanted, len(right), len(rows))


def margin(share: float, count: int) -> float:
    """Three standard errors of a share."""
    return 3 * (share * (1 - share) / count) ** 0.5


def test_an_oracle_of_the_signing_reaches_the_ceiling_and_not_more(simulated):
    """It knows every sign, and of what a sign may mean it says one by chance; with the cue it says all."""
    root = simulated("Phoenix14TQA", samples=(700, 1, 300), seed=1, render=())
    asker = asker_of(root)
    rows = [row for row in layout_of("Phoenix14TQA").read_annotations(root) if row.split == "test"]
    meanings: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for gloss, text in asker.texts.items():
        meanings.setdefault(asker.grammar.signs(gloss.split()), []).append((gloss, text))
    rng = np.random.default_rng(0)
    blind = {r.id: meanings[asker.grammar.signs(r.gloss)] for r in rows}
    judged = judge(asker, rows, {i: some[rng.integers(len(some))][1] for i, some in blind.items()})
    ceiling = ceilings(root, "test").video
    assert judged.exact == pytest.approx(ceiling, abs=margin(ceiling, judged.samples))
    assert judged.homonyms == pytest.approx(0.5, abs=margin(0.5, judged.slots)) and judged.others == 1
    cued = {
        r.id: [text for gloss, text in blind[r.id] if asker.cues(gloss.split()) == asker.cues(r.gloss)] for r in rows
    }
    assert all(len(some) == 1 for some in cued.values())
    assert judge(asker, rows, {i: some[0] for i, some in cued.items()}).exact == ceilings(root, "test").both == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_model_of_the_video_alone_guesses_homonyms_and_knows_the_rest(seed, tmp_path, monkeypatch):
    """SignAttention as in the demo, on the signing of a corpus with questions."""
    monkeypatch.chdir(tmp_path)
    corpus = ["--corpus", "Phoenix14TQA", "--root", "data", "--question-overlap", "0.3"]
    assert main(["simulate", *corpus, "--samples", "4000", "100", "400", "--seed", str(seed)]) == 0
    data = ["--data.class_path", "slt_zoo.Phoenix14TQA", "--data.root", "data"]
    assert main(["run", "zoo:sign_attention/synthetic", *data, "--seed_everything", str(seed)]) == 0
    run = tmp_path / "runs/sign_attention/synthetic/translate"
    said = {p.id: p.hypothesis for p in load_predictions(run / "predictions/test.jsonl")}
    rows = [r for r in layout_of("Phoenix14TQA").read_annotations(tmp_path / "data") if r.split == "test"]
    judged, ceiling = judge(asker_of(tmp_path / "data"), rows, said), ceilings(tmp_path / "data", "test")
    bleu = load_scores(run / "scores.json")["test"].values["bleu4"]
    print(json.dumps({"seed": seed, "bleu4": bleu, **asdict(judged), "ceilings": asdict(ceiling)}))
    assert judged.homonyms <= 0.5 + margin(0.5, judged.slots)
    assert judged.exact <= ceiling.video + margin(ceiling.video, judged.samples)
    assert judged.others >= 0.85

"""``report.html``: what runs did, in one file that needs no network and no script."""

from __future__ import annotations

import base64
import difflib
import html
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slt_zoo._version import __version__
from slt_zoo.analysis.curves import choose_curves, describe_curve, read_curves
from slt_zoo.analysis.figures import HeatMap, curves_figure, heat_map_figure, to_svg
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.files import write_atomically
from slt_zoo.metrics.files import ResultFileError, load_predictions, load_scores
from slt_zoo.metrics.report import SIMULATED_NOTE, ScoreReport
from slt_zoo.types import Prediction

__all__ = ["write_report"]

NUM_SENTENCES = 10
SCORE_NAMES = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "chrf": "chrF",
    "rouge_l_b12": "ROUGE-L (beta 1.2)",
    "wer": "Word error rate",
    "wer_sub": "Word errors: substitutions",
    "wer_ins": "Word errors: insertions",
    "wer_del": "Word errors: deletions",
    "exact": "Exactly right",
    "sentence_bleu_mean": "Mean of sentence BLEU-4",
}
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 62rem; margin: 0 auto;
  padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.35rem; margin-top: 3rem; border-bottom: 2px solid #1b1b1b; }
h3 { font-size: 1.08rem; margin-top: 2rem; }
a { color: #0b4fb3; } code { background: #f1f1f1; padding: .05em .3em; overflow-wrap: anywhere; }
.note { border-left: 6px solid #8a4b00; background: #fff3dc; padding: .7rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } caption { text-align: left; color: #444; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #bbb; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.sentences { width: 100%; }
.sentences th[scope=row] { font-weight: normal; color: #444; overflow-wrap: anywhere; width: 16%; }
.side { color: #444; display: inline-block; min-width: 6.2em; }
mark { background: #ffe3d3; color: inherit; text-decoration: underline; text-decoration-thickness: 2px; }
mark.missed { background: #dcebfa; text-decoration-style: dotted; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption, footer { color: #444; font-size: .92rem; }
"""


@dataclass(frozen=True)
class _Run:
    name: str
    reports: dict[str, ScoreReport]
    curves: dict[str, list[tuple[int, float]]]
    split: str
    predictions: list[Prediction]

    @property
    def simulated(self) -> bool:
        return any(r.extra.get("simulated") for r in self.reports.values())


def write_report(
    out: str | os.PathLike[str],
    runs: Mapping[str, str | os.PathLike[str]],
    *,
    title: str,
    heat_maps: Mapping[str, HeatMap] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write a page about one or more runs.

    Args:
        out: the HTML file, or a folder (a path without ``.html``) that gets ``report.html``.
        runs: run folders by name; each holds ``metrics.csv``, ``scores.json`` and ``predictions/test.jsonl`` (or
            ``dev.jsonl`` where no test was made).
        title: of the page.
        heat_maps: by the name of the run they belong to.
        notes: what to try next, each a sentence; between backticks stands code.

    Returns:
        Path of the page.

    Raises:
        ConfigError: no run, or a heat map of an unknown run.
        ResultFileError: a file of a run is missing or cannot be read.
    """
    if not runs:
        raise ConfigError("a report needs at least one run", where="runs")
    heat_maps = heat_maps or {}
    for name in heat_maps:
        if name not in runs:
            raise UnknownNameError("run of a heat map", name, runs)
    loaded = [_load(name, Path(folder)) for name, folder in runs.items()]
    path = Path(out)
    path = path if path.suffix == ".html" else path / "report.html"
    sections = [_run_section(i, run, heat_maps.get(run.name)) for i, run in enumerate(loaded)]
    write_atomically(path, _page(title, loaded, sections, notes))
    return path


def _load(name: str, folder: Path) -> _Run:
    reports = load_scores(folder / "scores.json")
    split = next((s for s in ("test", "dev") if s in reports), None)
    if split is None:
        raise ResultFileError(
            "there is no score of test or dev",
            where=folder / "scores.json",
            found=", ".join(reports) or "no split",
            todo="run `slt-zoo test`",
        )
    predictions = load_predictions(folder / "predictions" / f"{split}.jsonl")
    return _Run(name, reports, read_curves(folder / "metrics.csv"), split, predictions)


def _page(title: str, runs: Sequence[_Run], sections: Sequence[str], notes: Sequence[str]) -> str:
    caveat = f'<p class="note" role="note"><strong>Note.</strong> {html.escape(SIMULATED_NOTE)}</p>'
    links = "\n".join(
        f'<li><a href="#run-{i}">{html.escape(r.name)}</a>: {_headline(r)}</li>' for i, r in enumerate(runs)
    )
    ideas = "\n".join(f"<li>{_with_code(note)}</li>" for note in notes)
    following = f'<section id="next"><h2>What to try next</h2>\n<ul>\n{ideas}\n</ul></section>' if notes else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{html.escape(title)}</h1>
{caveat if any(r.simulated for r in runs) else ""}
<ul>
{links}
</ul>
</header>
<main>
{"".join(sections)}
{following}
</main>
<footer><p>Made by slt_zoo {html.escape(__version__)} from the files of the run folders.</p></footer>
</body>
</html>
"""


def _headline(run: _Run) -> str:
    """The first of the scores that people ask for, of the split that the sentences are from."""
    report = run.reports[run.split]
    key = next(k for k in ("wer", "bleu4", *report.values) if k in report.values)
    return html.escape(f"{run.split} {_score_name(key)} {report.values[key]:.2f} ({report.protocol})")


def _run_section(number: int, run: _Run, heat_map: HeatMap | None) -> str:
    return f"""<section id="run-{number}" aria-labelledby="run-{number}-title">
<h2 id="run-{number}-title">{html.escape(run.name)}</h2>
{_scores(run)}
{_training(run)}
{_sentences(run)}
{_attention(heat_map)}
</section>
"""


def _scores(run: _Run) -> str:
    splits = list(run.reports)
    keys = list(dict.fromkeys(k for r in run.reports.values() for k in r.values))
    head = "".join(f'<th scope="col" class="number">{html.escape(s)}</th>' for s in splits)
    rows = []
    for key in keys:
        cells = [f"{r.values[key]:.2f}" if key in r.values else "" for r in run.reports.values()]
        better = "lower" if key.startswith("wer") else "higher"
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        rows.append(
            f'<tr><th scope="row">{html.escape(_score_name(key))}</th>{numbers}<td>{better} is better</td></tr>'
        )
    return f"""<h3>Scores</h3>
<div class="scroll"><table>
<caption>In percent. {"; ".join(_score_line(s, r) for s, r in run.reports.items())}</caption>
<thead><tr><th scope="col">Score</th>{head}<th scope="col">Direction</th></tr></thead>
<tbody>
{"".join(rows)}
</tbody></table></div>
{"".join(f'<p class="note" role="note">{html.escape(c)}</p>' for c in _caveats(run))}
<details><summary>Signatures</summary><ul>
{"".join(_signature(s, r) for s, r in run.reports.items())}
</ul></details>"""


def _score_name(key: str) -> str:
    return SCORE_NAMES.get(key, key)


def _score_line(split: str, report: ScoreReport) -> str:
    return html.escape(f"{split}: {report.num_samples} sentences, protocol {report.protocol}")


def _caveats(run: _Run) -> list[str]:
    """Each caveat once, with the splits it is about."""
    splits: dict[str, list[str]] = {}
    for split, report in run.reports.items():
        for caveat in report.caveats():
            splits.setdefault(caveat, []).append(split)
    return [f"{' and '.join(names)}: {caveat}" for caveat, names in splits.items()]


def _signature(split: str, report: ScoreReport) -> str:
    parts = "".join(f"<br><code>{html.escape(part)}</code>" for part in report.signature.split("; "))
    return f"<li>{html.escape(split)}, references <code>{html.escape(report.reference_hash[:16])}</code>{parts}</li>\n"


def _training(run: _Run) -> str:
    losses, scores = choose_curves(run.curves)
    if not losses and not scores:
        found = ", ".join(run.curves) or "nothing"
        return f"<h3>Training</h3><p>Neither a loss nor a dev score was logged (logged: {html.escape(found)}).</p>"
    words = " ".join(describe_curve(c) for c in (*losses, *scores))
    caption = "Loss and scores on the dev split while training; faint: single steps, line: running mean."
    return f"<h3>Training</h3>\n{_figure(to_svg(curves_figure(losses, scores)), words, caption)}"


def _attention(heat_map: HeatMap | None) -> str:
    if heat_map is None:
        return ""
    caption = (
        "Cross-attention of one sentence: each row is a generated token, brighter means more weight on that moment of "
        "the video, the dot marks the highest weight of the row. Attention shows where the decoder read, not why."
    )
    if heat_map.boundaries:
        caption += " The bars above are the signs."
    return f"<h3>Attention</h3>\n{_figure(to_svg(heat_map_figure(heat_map)), heat_map.describe(), caption)}"


def _figure(svg: str, alt: str, caption: str) -> str:
    # as an image and not inline: ids of two figures cannot meet, and nothing in it can run
    source = base64.b64encode(svg.encode()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{source}" alt="{html.escape(alt)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _sentences(run: _Run) -> str:
    chosen = _evenly(sorted(run.predictions, key=lambda p: p.id), NUM_SENTENCES)
    language = run.reports[run.split].extra.get("language")
    lang = f' lang="{html.escape(str(language))}"' if language else ""
    return f"""<h3>{len(chosen)} {html.escape(run.split)} sentences</h3>
<p>Evenly spaced by id, not chosen by quality. Words of the reference that the hypothesis lacks are
<mark class="missed">dotted</mark>, words of the hypothesis that the reference lacks are <mark>underlined</mark>.</p>
<div class="scroll"><table class="sentences">
<thead><tr><th scope="col">Sample</th><th scope="col">Sentences</th><th scope="col">Result</th></tr></thead>
<tbody>
{"".join(_sentence_row(p, lang) for p in chosen)}
</tbody></table></div>"""


def _evenly(predictions: Sequence[Prediction], n: int) -> list[Prediction]:
    if len(predictions) <= n:
        return list(predictions)
    return [predictions[i * (len(predictions) - 1) // (n - 1)] for i in range(n)]


def _sentence_row(prediction: Prediction, lang: str) -> str:
    reference = prediction.references[0] if prediction.references else ""
    same = any(prediction.hypothesis.split() == r.split() for r in prediction.references)
    marked, said = mark_differences(reference, prediction.hypothesis)
    empty = "<em>(empty)</em>"
    return (
        f'<tr><th scope="row">{html.escape(prediction.id)}</th><td>'
        f'<div><span class="side">Reference</span> <span dir="auto"{lang}>{marked or empty}</span></div>'
        f'<div><span class="side">Hypothesis</span> <span dir="auto"{lang}>{said or empty}</span></div>'
        f"</td><td>{'identical' if same else 'differs'}</td></tr>\n"
    )


def mark_differences(reference: str, hypothesis: str) -> tuple[str, str]:
    """Both as HTML, what the other lacks in ``<mark>``; by words, or by characters where neither has a space."""
    spaced = len(reference.split()) > 1 or len(hypothesis.split()) > 1
    gap = " " if spaced else ""
    a, b = (text.split() if spaced else list(text.strip()) for text in (reference, hypothesis))
    left, right = [], []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        first, second = html.escape(gap.join(a[a0:a1])), html.escape(gap.join(b[b0:b1]))
        if kind != "equal":
            first = first and f'<mark class="missed">{first}</mark>'
            second = second and f"<mark>{second}</mark>"
        left.append(first)
        right.append(second)
    return gap.join(filter(None, left)), gap.join(filter(None, right))


def _with_code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))

"""report.html from run folders, and the curves and figures in it."""

from __future__ import annotations

import base64
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from slt_zoo.analysis import HeatMap, curves_figure, heat_map_figure, read_curves, write_report
from slt_zoo.analysis.curves import Curve, choose_curves, describe_curve
from slt_zoo.analysis.figures import to_svg
from slt_zoo.analysis.report import mark_differences
from slt_zoo.errors import ConfigError, UnknownNameError
from slt_zoo.metrics import ResultFileError, merge_scores, save_predictions, score
from slt_zoo.types import Prediction

METRICS = """dev/bleu4,dev/loss,epoch,lr-Adam,step,train/loss
,,0,0.001,9,2.5
12.5,2.0,0,,9,
,,1,0.001,19,nan
50.25,1.0,1,,19,
"""
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that tags nest, and keeps text, images and attributes."""

    def __init__(self, source):
        super().__init__()
        self.open, self.text, self.images, self.tags, self.ids = [], "", [], [], []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def make_run(folder, protocol="strict", *, count=25, simulated=False, splits=("dev", "test")):
    references = {f"clip{i:02d}": f"am tag {i} regnet es" for i in range(count)}
    hypotheses = {
        k: v if i % 2 else v.replace("regnet", "<script>alert(1)</script>")
        for i, (k, v) in enumerate(references.items())
    }
    extra = {"simulated": simulated, "language": "de"}
    for split in splits:
        merge_scores(folder / "scores.json", {split: score(hypotheses, references, protocol, extra=extra)})
        path = folder / "predictions" / f"{split}.jsonl"
        save_predictions(path, [Prediction(k, h, (references[k],)) for k, h in hypotheses.items()])
    (folder / "metrics.csv").write_text(METRICS)
    return folder


def heat_map(**options):
    return HeatMap(np.eye(3, 6), ["REGEN", "今天", "</s>"], **options)


@pytest.fixture
def page(tmp_path):
    runs = {"Text": make_run(tmp_path / "text"), "Gloss & <b>": make_run(tmp_path / "gloss", "gloss")}
    maps = {"Text": heat_map(fps=2.0, title="clip07 & co", boundaries=[(0, 2), (3, 6)], labels=["REGEN", "HEUTE"])}
    notes = ["More noise: `slt-zoo demo --difficulty 0.6`.", "1 < 2"]
    path = write_report(tmp_path / "out", runs, title="Demo & test", heat_maps=maps, notes=notes)
    assert path == tmp_path / "out" / "report.html"
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_holds_everything(page):
    parsed = Page(page)
    assert dict(parsed.tags)["html"] == {"lang": "en"}
    assert dict(parsed.tags)["title"] == {}
    for expected in (
        "Demo & test",
        "Gloss & <b>",
        "strict",
        "tok:13a",
        "WER costs:1/1/1",
        "slt-zoo demo --difficulty 0.6",
        "1 < 2",
    ):
        assert expected in parsed.text
    assert ("code", {}) in parsed.tags
    assert ("span", {"dir": "auto", "lang": "de"}) in parsed.tags


def test_strings_are_escaped_and_nothing_runs_or_loads(page):
    parsed = Page(page)
    assert "<script" not in page
    assert "<script>alert(1)</script>" in parsed.text
    names = {name for name, _ in parsed.tags}
    assert not names & {"script", "link", "iframe", "object"}
    for _, attributes in parsed.tags:
        for key in ("src", "href"):
            assert attributes.get(key, "#").startswith(("data:image/svg+xml;base64,", "#"))
    assert "@import" not in page
    assert "url(" not in page


def test_ten_sentences_a_run_spread_over_the_split(page):
    rows = re.findall(r'<tr><th scope="row">(clip\d\d)</th>', page)
    assert len(rows) == 20
    assert rows[0] == "clip00"
    assert rows[9] == "clip24"
    assert "identical" in page
    assert "differs" in page


def test_figures_are_valid_images_with_words_for_them(page):
    images = Page(page).images
    assert len(images) == 3  # curves of both runs and one heat map
    for image in images:
        svg = base64.b64decode(image["src"].split(",")[1]).decode()
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "dev/bleu4 goes from 12.5 at step 9 to 50.2 at step 19" in images[0]["alt"]
    assert images[1]["alt"] == "clip07 & co. Highest weight: 'REGEN' at 0.2 s; '今天' at 0.8 s; '</s>' at 1.2 s"


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_signing_is_named(tmp_path, simulated):
    run = make_run(tmp_path / "run", simulated=simulated)
    text = Page(write_report(tmp_path / "r.html", {"run": run}, title="t").read_text()).text
    assert ("Simulated signing is no sign language" in text) == simulated


def test_same_files_give_the_same_bytes(tmp_path):
    run = make_run(tmp_path / "run")
    first, second = (
        write_report(tmp_path / n, {"run": run}, title="t", heat_maps={"run": heat_map()}).read_bytes() for n in "ab"
    )
    assert first == second


def test_a_run_without_a_test_shows_dev(tmp_path):
    run = make_run(tmp_path / "run", splits=("dev",), count=4)
    assert "4 dev sentences" in Page(write_report(tmp_path / "r.html", {"run": run}, title="t").read_text()).text


@pytest.mark.parametrize("name", ["metrics.csv", "scores.json", "predictions/test.jsonl"])
def test_a_missing_file_is_named(tmp_path, name):
    run = make_run(tmp_path / "run")
    (run / name).unlink()
    with pytest.raises(ResultFileError, match=f"(?s){re.escape(str(run / name))}.*What to do"):
        write_report(tmp_path / "r.html", {"run": run}, title="t")
    assert not (tmp_path / "r.html").exists()


def test_scores_of_no_evaluated_split(tmp_path):
    run = make_run(tmp_path / "run", splits=("train",))
    with pytest.raises(ResultFileError, match="train"):
        write_report(tmp_path / "r.html", {"run": run}, title="t")


def test_wrong_arguments(tmp_path):
    with pytest.raises(ConfigError, match="at least one run"):
        write_report(tmp_path, {}, title="t")
    with pytest.raises(UnknownNameError, match="Text"):
        write_report(tmp_path, {"Text": tmp_path}, title="t", heat_maps={"text": heat_map()})


def test_read_curves(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text(METRICS)
    curves = read_curves(path)
    assert list(curves) == ["dev/bleu4", "dev/loss", "lr-Adam", "train/loss"]
    assert curves["dev/bleu4"] == [(9, 12.5), (19, 50.25)]
    assert curves["train/loss"][0] == (9, 2.5)
    assert math.isnan(curves["train/loss"][1][1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "step"),
        ("epoch,loss\n1,2\n", "step"),
        ("step,loss\n1,2\n2,x\n", r"(?s)no number.*line 3, column loss.*'x'"),
    ],
)
def test_bad_metrics(tmp_path, text, message):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(ResultFileError, match=message):
        read_curves(path)


def test_lightnings_own_file_is_read(tmp_path):
    from lightning.pytorch.loggers import CSVLogger

    logger = CSVLogger(tmp_path, name="", version="")
    for step in (4, 9):
        logger.log_metrics({"train/loss": 1.0 / step}, step)
        logger.log_metrics({"dev/wer": 10.0 * step}, step)
    logger.save()
    assert read_curves(tmp_path / "metrics.csv") == {
        "dev/wer": [(4, 40.0), (9, 90.0)],
        "train/loss": [(4, 0.25), (9, pytest.approx(1 / 9))],
    }


def test_chosen_curves():
    points = [(1, 1.0)]
    logged = dict.fromkeys(
        ["train/loss_step", "train/loss_epoch", "train/ce", "dev/wer", "dev/bleu4", "dev/loss", "lr"], points
    )
    losses, scores = choose_curves(logged)
    assert [c.name for c in losses] == ["train/loss_step", "dev/loss"]
    assert [c.name for c in scores] == ["dev/bleu4", "dev/wer"]


def test_curves_in_words():
    assert describe_curve(Curve("l", [(1, 4.0), (2, math.nan), (3, 1.0), (4, 2.0)])) == (
        "l goes from 4 at step 1 to 2 at step 4 (lowest 1 at step 3, highest 4 at step 1)."
    )
    assert "no finite value" in describe_curve(Curve("l", [(1, math.nan)]))


def test_long_curves_are_smoothed_and_stay_in_range():
    curve = Curve("train/loss", [(s, 2.0 + (-1) ** s) for s in range(300)])
    (axes,) = curves_figure([curve], []).axes
    raw, mean = axes.lines
    assert len(raw.get_xdata()) == 300
    assert mean.get_label() == "train/loss"
    assert np.abs(mean.get_ydata() - 2).max() < 0.2


def test_heat_map_figure_shows_tokens_peaks_and_signs():
    figure = heat_map_figure(heat_map(fps=2.0, boundaries=[(0, 2)], labels=["REGEN $1$"]))
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["REGEN", "今天", "</s>"]
    assert axes.lines[0].get_xdata().tolist() == [0.25, 0.75, 1.25]
    assert axes.get_xlim() == (0, 3)
    svg = to_svg(figure)
    assert "今天" in svg
    assert "REGEN $1$" in svg.replace(r"\$", "$")


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        (np.ones((2, 5)), {}, r"\(2, 5\)"),
        (np.ones((3, 0)), {}, r"\(3, 0\)"),
        (np.full((3, 5), np.nan), {}, "finite"),
        (np.ones((3, 5)), {"boundaries": [(2, 6)]}, "outside"),
        (np.ones((3, 5)), {"boundaries": [(2, 2)]}, "outside"),
        (np.ones((3, 5)), {"boundaries": [(0, 5)], "labels": ["a", "b"]}, "one label a sign"),
    ],
)
def test_heat_maps_that_cannot_be(matrix, options, message):
    with pytest.raises(ConfigError, match=message):
        HeatMap(matrix, ["a", "b", "c"], **options)


def test_differences_are_marked_by_words_or_characters():
    assert mark_differences("am tag <regen>", "am abend <regen>") == (
        'am <mark class="missed">tag</mark> &lt;regen&gt;',
        "am <mark>abend</mark> &lt;regen&gt;",
    )
    assert mark_differences("今天下雨", "今天有雨") == ('今天<mark class="missed">下</mark>雨', "今天<mark>有</mark>雨")
    assert mark_differences("a b", "") == ('<mark class="missed">a b</mark>', "")

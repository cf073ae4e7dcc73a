"""slt-zoo score and compare, on files as people have them."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from slt_zoo import Phoenix14T
from slt_zoo.cli import main
from slt_zoo.cli.score import read_references
from slt_zoo.metrics import ScoreReport, score
from slt_zoo.metrics.baselines import most_frequent, nearest_by_gloss, nearest_by_vector
from slt_zoo.metrics.known import KNOWN, PROTOCOL_OF
from slt_zoo.metrics.preparation import fold_widths
from slt_zoo.metrics.protocols import PROTOCOLS

REFERENCES = {f"s{i:02d}": f"heute regnet es im norden {i} mal und im süden nicht" for i in range(20)}


def damaged(share: float, seed: int) -> dict[str, str]:
    rng = random.Random(seed)
    return {i: " ".join(w for w in t.split() if rng.random() > share) for i, t in REFERENCES.items()}


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, share in (("good", 0.1), ("bad", 0.5)):
        hypotheses = damaged(share, 1)
        Path(f"{name}.txt").write_text("".join(h + "\n" for h in hypotheses.values()), encoding="utf-8")
        lines = [json.dumps({"id": i, "hypothesis": h}) for i, h in hypotheses.items()]
        Path(f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    Path("r.txt").write_text("".join(r + "\n" for r in REFERENCES.values()), encoding="utf-8")
    lines = [json.dumps({"id": i, "references": [r]}) for i, r in REFERENCES.items()]
    Path("r.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def reports(capsys, *words: str) -> list[ScoreReport]:
    assert main(["score", *words, "--json", "--samples", "50"]) == 0
    return [ScoreReport.from_dict(r) for r in json.loads(capsys.readouterr().out)["reports"]]


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_files_give_what_python_gives(kind, capsys):
    found = reports(capsys, "--hypotheses", f"good.{kind}", "--references", f"r.{kind}", "--protocol", "all")
    assert [r.protocol for r in found] == list(PROTOCOLS)
    expected = score(damaged(0.1, 1), REFERENCES, "strict", samples=50)
    assert found[0].values == pytest.approx(expected.values) and found[0].intervals == expected.intervals


def test_a_table_for_people(capsys):
    words = ["score", "--hypotheses", "good.txt", "--references", "r.txt", "--samples", "20", "--protocol"]
    assert main([*words, "strict", "legacy/neccam-slt"]) == 0
    shown = capsys.readouterr().out
    assert "strict" in shown and "[" in shown and "Legacy protocol" in shown and "cannot be compared" in shown
    assert main([*words, "strict"]) == 0
    assert "tok:13a" in capsys.readouterr().out


def test_compare_on_all_kinds_of_files(capsys):
    for name in ("good", "bad"):
        words = ["--hypotheses", f"{name}.jsonl", "--references", "r.jsonl", "--out", f"{name}.json"]
        assert main(["score", *words, "--samples", "0"]) == 0
    capsys.readouterr()
    ranks = []
    for kind, more in (("json", []), ("jsonl", ["--references", "r.jsonl"]), ("txt", ["--references", "r.txt"])):
        assert main(["compare", f"bad.{kind}", f"good.{kind}", *more, "--json", "--samples", "200"]) == 0
        ranks.append(json.loads(capsys.readouterr().out)["ranks"])
    assert ranks[0] == ranks[1] == ranks[2]
    assert [(r["rank"], r["name"]) for r in ranks[0]] == [(1, "good"), (2, "bad")]
    assert ranks[0][1]["to_previous"]["real"] is True
    assert main(["compare", "bad.json", "good.json", "--metric", "wer", "--samples", "50"]) == 0
    assert "told apart" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("score --hypotheses good.txt", "there are no references"),
        ("score --hypotheses short.txt --references r.txt", "another number of sentences"),
        ("score --hypotheses fewer.jsonl --references r.jsonl", "1 missing (s00)"),
        ("score --hypotheses twice.jsonl --references r.jsonl", "an id occurs twice"),
        ("score --hypotheses good.jsonl --references twice_r.jsonl", "an id occurs twice"),
        ("score --hypotheses empty.txt --references r.txt", "the file is empty"),
        ("score --hypotheses empty.jsonl --references r.jsonl", "no prediction"),
        ("score --hypotheses latin.txt --references r.txt", "not UTF-8"),
        ("score --hypotheses good.txt --references latin.txt", "not UTF-8"),
        ("score --hypotheses no.txt --references r.txt", "not there"),
        ("score --hypotheses good.txt --references no.txt", "no such"),
        ("score --hypotheses good.txt --references r.txt --protocol strikt", "did you mean 'strict'"),
        ("score --hypotheses good.txt --references r.txt --samples -1", "--samples must be"),
        ("score --hypothesis good.txt", "required: --hypotheses"),
        ("score --hypotheses other.jsonl --references r.jsonl", "not those of the split"),
        ("compare good.txt --references r.txt", "nothing to compare"),
        ("compare good.txt good.txt --references r.txt", "named twice"),
        ("compare good.txt bad.txt", "have no references"),
        ("compare good.txt bad.txt --references r.txt --metric blue4", "bleu4"),
    ],
)
def test_bad_input(words, told, capsys):
    lines = Path("good.txt").read_text("utf-8").splitlines(keepends=True)
    Path("short.txt").write_text("".join(lines[:-1]), encoding="utf-8")
    Path("other.jsonl").write_text('{"id": "x", "hypothesis": "y"}', encoding="utf-8")
    Path("empty.txt").touch()
    Path("empty.jsonl").touch()
    Path("latin.txt").write_bytes("für".encode("latin-1"))
    predictions = Path("good.jsonl").read_text("utf-8").splitlines()
    Path("fewer.jsonl").write_text("\n".join(predictions[1:]), encoding="utf-8")
    Path("twice.jsonl").write_text("\n".join([*predictions, predictions[0]]), encoding="utf-8")
    references = Path("r.jsonl").read_text("utf-8").splitlines()
    Path("twice_r.jsonl").write_text("\n".join([*references, references[0]]), encoding="utf-8")
    assert main(words.split()) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "words", "told"),
    [
        ("a|b|c\n" * 5, "score --hypotheses good.txt --references table.txt", "no annotation file of a known corpus"),
        ("", "score --hypotheses good.jsonl --references r.txt", "the references are lines without"),
        ("", "score --hypotheses good.txt --references r.txt --samples 0 --out good.txt/x.json", "good.txt"),
        ("", "score --hypotheses good.txt --references r.txt --samples 0 --out .", "directory"),
        ("", "compare good.txt bad.txt --references r.txt --samples 0", "samples at least 1"),
    ],
)
def test_more_bad_input(make, words, told, capsys):
    Path("table.txt").write_text(make)
    assert main(words.split()) == 2
    assert told in capsys.readouterr().err
    assert not [p for p in Path().iterdir() if p.name.startswith(".")], "no temporary file is left"


def test_damaged_official_files_are_not_plain_text(shared_data, capsys):
    lines = (shared_data / "csl_daily/sentence_label/video_map.dev_test.txt").read_text("utf-8").splitlines()
    lines[5] = lines[5].rpartition("|")[0]
    Path("video_map.txt").write_text("\n".join(lines), encoding="utf-8")
    Path("h.txt").write_text("x\n" * len(lines))
    assert main(["score", "--hypotheses", "h.txt", "--references", "video_map.txt"]) == 2
    assert "line 6" in capsys.readouterr().err
    gsl = shared_data / "gsl/GSL_continuous"
    assert main(["score", "--hypotheses", "h.txt", "--references", str(gsl / "GSL_SD_test.csv")]) == 2
    assert "list of a split" in capsys.readouterr().err
    ids = read_references(gsl / "annotations.csv", "test", gsl / "GSL_SD_test.csv").strings
    Path("h.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": ""}) for i in ids))
    assert main(["score", "--hypotheses", "h.jsonl", "--references", str(gsl / "annotations.csv")]) == 2
    assert "--split-file" in capsys.readouterr().err


def test_a_reference_in_a_score_file_may_be_one_string(capsys):
    Path("x.json").write_text(
        json.dumps({"hypotheses": {"1": "ein wort mit vier"}, "references": {"1": "ein wort mit vier"}})
    )
    assert reports(capsys, "--hypotheses", "x.json", "--protocol", "strict")[0].values["bleu4"] == pytest.approx(100)


def test_compare_knows_the_corpus_by_its_references(shared_data, capsys):
    path = str(shared_data / PHOENIX.format("dev"))
    ids = read_references(path).strings
    for name in ("p", "q"):
        Path(f"{name}.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": f"{name} wind"}) for i in ids))
        words = ["score", "--hypotheses", f"{name}.jsonl", "--references", path, "--samples", "0"]
        assert main([*words, "--out", f"{name}.json"]) == 0
    capsys.readouterr()
    assert main(["compare", "p.json", "q.json", "--samples", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"] == "phoenix14t/signjoey"


def test_a_line_separator_inside_a_sentence_is_no_new_line(capsys):
    Path("h.txt").write_text("a\u2028b c d e\n\nx\n", encoding="utf-8")
    Path("s.txt").write_text("a\u2028b c d e\ny\nx\n", encoding="utf-8")
    found = reports(capsys, "--hypotheses", "h.txt", "--references", "s.txt", "--protocol", "strict")
    assert found[0].num_samples == 3 and found[0].values["exact"] == pytest.approx(200 / 3)


def test_scores_of_other_programs(capsys):
    numbers = [0.01 * i for i in range(20)]
    Path("bleurt.txt").write_text("\n".join(map(str, numbers)))
    Path("comet.json").write_text(json.dumps({"good.txt": [{"mt": "", "COMET": x} for x in numbers]}))
    words = ["--hypotheses", "good.jsonl", "--references", "r.jsonl", "--protocol", "strict", "gloss", "--external"]
    for report in reports(capsys, *words, "bleurt=bleurt.txt", "comet=comet.json"):
        assert report.values["bleurt"] == report.values["comet"] == pytest.approx(9.5)
        low, high = report.intervals["bleurt"]
        assert low < 9.5 < high and "external" in report.signature
    assert main(["score", *words, "bleurt=bleurt.txt", "--samples", "5"]) == 0
    assert "bleurt" in capsys.readouterr().out
    Path("short.txt").write_text("0.5")
    for word, told in (("comet", "environment of its own"), ("bert", "NAME=FILE"), ("x=short.txt", "not 20 numbers")):
        assert main(["score", *words, word]) == 2
        assert told in capsys.readouterr().err


# Official annotation


PHOENIX = "phoenix14t/PHOENIX-2014-T-release-v3/PHOENIX-2014-T/annotations/manual/PHOENIX-2014-T.{}.corpus.csv"
OFFICIAL = {
    PHOENIX.format("train"): ("Phoenix14T", 7096),
    PHOENIX.format("dev"): ("Phoenix14T", 519),
    PHOENIX.format("test"): ("Phoenix14T", 642),
    "phoenix14t_qa/train.txt": ("Phoenix14TQA", 7096),
    "phoenix14t_qa/test.txt": ("Phoenix14TQA", 642),
    "csl_daily/sentence_label/video_map.dev_test.txt": ("CSLDaily", 2253),
    "csl_daily/sentence_label/csl2020ct_v2.pkl": ("CSLDaily", 20_654),
    "csl_daily_qa/dev.txt": ("CSLDailyQA", 1077),
    "csl_daily_qa/test.txt": ("CSLDailyQA", 1176),
    "how2sign/How2Sign/sentence_level/test/text/en/raw_text/re_aligned/how2sign_realigned_test.csv": ("How2Sign", 2357),
    "gsl/GSL_continuous/annotations.csv": ("GSL", 10_295),
}


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda p: p.rpartition("/")[2])
def test_official_files_are_told_apart_and_read(path, shared_data):
    found = read_references(shared_data / path)
    assert (found.corpus, len(found.strings)) == OFFICIAL[path]


@pytest.mark.parametrize(
    ("path", "split", "split_file", "known"),
    [
        (PHOENIX.format("test"), "test", None, "Phoenix14T test, text, 642 sentences"),
        ("csl_daily_qa/test.txt", "test", None, "CSLDaily test, text, smoothed, 1176 sentences"),
        (
            "csl_daily/sentence_label/video_map.dev_test.txt",
            "dev",
            "csl_daily/sentence_label/split_1.txt",
            "CSLDaily dev, text, smoothed, 1077 sentences",
        ),
        (
            "gsl/GSL_continuous/annotations.csv",
            "test",
            "gsl/GSL_continuous/GSL_SD_test.csv",
            "GSL test, text, sd, 1043 sentences",
        ),
    ],
)
def test_official_references_are_recognised(path, split, split_file, known, shared_data, capsys):
    found = read_references(shared_data / path, split, split_file and shared_data / split_file)
    Path("h.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": ""}) for i in found.strings))
    words = ["score", "--hypotheses", "h.jsonl", "--references", str(shared_data / path), "--split", split]
    words += ["--split-file", str(shared_data / split_file)] if split_file else []
    assert main([*words, "--samples", "0"]) == 0
    assert known in capsys.readouterr().out


def test_changed_references_are_warned_of(shared_data, capsys, caplog):
    text = (shared_data / PHOENIX.format("test")).read_text("utf-8")
    Path("x.csv").write_text(text.replace("regen", "Regen", 1), encoding="utf-8")
    ids = read_references("x.csv").strings
    Path("h.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": "x"}) for i in ids))
    assert main(["score", "--hypotheses", "h.jsonl", "--references", "x.csv", "--samples", "0"]) == 0
    assert "none of its known splits" in caplog.text


def test_leakage_of_the_questions(shared_data):
    """ssl_ssaw, section 6.4: copying the question as the translation."""
    table = {
        "phoenix14t_qa/train": (39, 46.80, 31.54, 49.04),
        "phoenix14t_qa/dev": (0, 30.04, 11.61, 30.36),
        "phoenix14t_qa/test": (4, 57.40, 32.36, 53.68),
        "csl_daily_qa/dev": (89, 45.41, 35.66, 53.66),
        "csl_daily_qa/test": (95, 44.66, 34.83, 53.25),
    }
    recalls = {"phoenix14t_qa/train": 0.524, "phoenix14t_qa/dev": 0.328, "phoenix14t_qa/test": 0.607}
    recalls |= {"csl_daily_qa/dev": 0.505, "csl_daily_qa/test": 0.500}
    for name, row in table.items():
        entries = read_references(shared_data / f"{name}.txt").entries
        protocol = "phoenix14t/nodot" if "phoenix" in name else "csl-daily/char-raw"
        prepare = PROTOCOLS[protocol]
        report = score({e.id: e.question for e in entries}, {e.id: e.text for e in entries}, protocol, samples=0)
        same = round(report.values["exact"] * len(entries) / 100)
        got = (same, *(round(report.values[k], 2) for k in ("bleu1", "bleu4", "rouge_l_b12")))
        assert got == row, name
        shares = []
        for e in entries:
            wanted, said = prepare.reference(e.text).split(), prepare.hypothesis(e.question).split()
            shares.append(sum(min(wanted.count(w), said.count(w)) for w in set(wanted)) / len(wanted))
        assert round(float(np.mean(shares)), 3) == recalls[name]


def test_half_width_punctuation_costs_scores(shared_data):
    """cv_slt, section 7: a perfect hypothesis in the tokenizer's punctuation against the raw references."""
    with gzip.open(shared_data / "csl_daily/annotations_cvpr21_text.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for split, expected in (("dev", 89.08), ("test", 88.52)):
        references = {r["name"]: r["text"] for r in rows if r["split"] == split}
        hypotheses = {i: fold_widths(text) for i, text in references.items()}
        raw = score(hypotheses, references, "csl-daily/char-raw", samples=0)
        assert raw.values["bleu4"] == pytest.approx(expected, abs=0.005)
        assert KNOWN[raw.reference_hash].split == split
        folded = score(hypotheses, references, "csl-daily/char-fold", samples=0)
        assert folded.values["bleu4"] == pytest.approx(100)


# Baselines


def test_baselines_by_hand():
    assert most_frequent(["x", "y"], ["b", "a", "a", "b", " "]) == {"x": "b", "y": "b"}
    train = [("A", "B"), ("A", "C", "D"), ()]
    assert nearest_by_gloss({"x": ("C", "A"), "y": ("B",)}, train, ["1", "2", "3"]) == {"x": "2", "y": "1"}
    vectors = np.array([[1, 0], [0, 1], [-1, -1]], np.float32)
    assert nearest_by_vector({"x": np.array([0.1, 2], np.float32)}, vectors, ["1", "2", "3"]) == {"x": "2"}


def test_baselines_beside_a_score(shared_data, capsys):
    path = shared_data / PHOENIX.format("test")
    Path("h.jsonl").write_text(
        "\n".join(json.dumps({"id": i, "hypothesis": ""}) for i in read_references(path).strings)
    )
    words = ["score", "--hypotheses", "h.jsonl", "--references", str(path), "--with-baselines", "--samples", "0"]
    assert main([*words, "--protocol", "phoenix14t/signjoey", "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["baselines"]}
    assert set(rows) == {"most-frequent", "train-nearest by glosses (oracle)", "train-nearest by features"}
    assert 12 < rows["train-nearest by glosses (oracle)"]["values"]["bleu4"] < 15
    assert (
        rows["train-nearest by features"]["values"] is None
        and "--features" in rows["train-nearest by features"]["lacks"]
    )
    qa = ["--references", str(shared_data / "phoenix14t_qa/test.txt"), "--protocol", "phoenix14t/nodot"]
    assert main(["score", "--hypotheses", "h.jsonl", *qa, "--with-baselines", "--samples", "0", "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["baselines"]}
    assert rows["copy-question"]["values"]["bleu4"] == pytest.approx(32.36, abs=0.005)
    assert rows["question-only"]["values"] is None


def test_glosses_are_scored_against_glosses(shared_data, capsys):
    path = shared_data / PHOENIX.format("test")
    entries = read_references(path).entries
    Path("g.jsonl").write_text("\n".join(json.dumps({"id": e.id, "hypothesis": " ".join(e.gloss)}) for e in entries))
    found = reports(capsys, "--hypotheses", "g.jsonl", "--references", str(path), "--protocol", "gloss")[0]
    assert found.values["wer"] == 0 and KNOWN[found.reference_hash].what == "gloss"


@pytest.mark.parametrize("corpus", ["csl", "gsl"])
def test_baselines_never_learn_from_dev(corpus, shared_data, capsys):
    """The annotation of two corpora holds all splits in one file."""
    if corpus == "csl":
        path, lists = (
            shared_data / "csl_daily/sentence_label/csl2020ct_v2.pkl",
            shared_data / "csl_daily/sentence_label",
        )
        split_file, protocol = lists / "split_1.txt", "csl-daily/char-fold"
    else:
        path, split_file = (shared_data / "gsl/GSL_continuous" / n for n in ("annotations.csv", "GSL_SD_test.csv"))
        protocol = "gsl/word"
    ids = read_references(path, "test", split_file).strings
    Path("h.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": ""}) for i in ids))
    words = ["score", "--hypotheses", "h.jsonl", "--references", str(path), "--split-file", str(split_file)]
    words += ["--with-baselines", "--samples", "0", "--protocol", protocol, "--json"]
    for more in ([], ["--train", str(path)]):
        assert main([*words, *more]) == 0
        rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["baselines"]}
        values = rows["train-nearest by glosses (oracle)"]["values"]
        assert values["bleu4"] < 25, "sentences of dev are those of test in both corpora"


def test_nearest_by_features(shared_data, capsys):
    path = shared_data / PHOENIX.format("dev")
    ids = list(read_references(path).strings)
    train = list(read_references(shared_data / PHOENIX.format("train")).strings)
    rng = np.random.default_rng(0)
    for split, some in (("dev", ids), ("train", train)):
        Path("f", split).mkdir(parents=True)
        for i in some:
            np.save(Path("f", split, f"{i}.npy"), rng.standard_normal((2, 3)).astype(np.float32))
    Path("h.jsonl").write_text("\n".join(json.dumps({"id": i, "hypothesis": ""}) for i in ids))
    words = ["score", "--hypotheses", "h.jsonl", "--references", str(path), "--split", "dev", "--with-baselines"]
    assert main([*words, "--features", "f", "--samples", "0", "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["baselines"]}
    assert rows["train-nearest by features"]["values"]["bleu1"] > 0


def test_corpora_and_their_protocols_agree():
    assert PROTOCOL_OF["Phoenix14T"] == Phoenix14T.protocol
    assert set(PROTOCOL_OF.values()) <= set(PROTOCOLS) and {k.corpus for k in KNOWN.values()} <= set(PROTOCOL_OF)

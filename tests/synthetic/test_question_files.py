"""Files of simulated questions, and questions that annotations bring."""

import json

import numpy as np
import pytest

from slt_zoo.cli import simulate as command
from slt_zoo.errors import AnnotationError, ConfigError, DatasetError, DatasetNotFoundError
from slt_zoo.metrics import score
from slt_zoo.metrics.baselines import copy_question
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.ceilings import Ceilings, ceilings, ceilings_of
from slt_zoo.synthetic.grammars import GRAMMARS, spelling
from slt_zoo.synthetic.layouts import layout_of
from slt_zoo.synthetic.performer import SkeletonPerformer
from slt_zoo.synthetic.questions import make_asker
from slt_zoo.synthetic.signers import make_signers
from slt_zoo.synthetic.variation import Variation, stream

INNER = "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
OVERLAPS = (0.0, 0.3, 0.6, 1.0)


def asker_of(grammar, overlap=0.3, seed=0):
    return make_asker("a corpus", grammar, overlap, seed)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    return {
        o: simulate("Phoenix14TQA", folder / str(o), (300, 5, 100), seed=1, render=(), question_overlap=o)
        for o in OVERLAPS
    }


def asked(root, split="test", corpus="Phoenix14TQA"):
    return [row for row in layout_of(corpus).read_annotations(root) if row.split == split]


def copied(corpora, protocol, corpus="Phoenix14TQA"):
    """Scores of the questions, Chinese ones without the spaces that the data module removes too."""
    found = []
    for root in corpora.values():
        rows = asked(root, corpus=corpus)
        said = copy_question(
            {r.id: r.question if corpus == "Phoenix14TQA" else r.question.replace(" ", "") for r in rows}
        )
        found.append(score(said, {r.id: [r.text] for r in rows}, protocol).values)
    return found


def test_copying_the_question_gains_with_its_share(corpora):
    scores = [values["bleu4"] for values in copied(corpora, "phoenix14t/signjoey")]
    assert scores == sorted(scores) and len(set(scores)) == 4
    assert scores[0] == 0 and 2 < scores[1] < 12 and 20 < scores[2] < 45 and scores[3] > 45


def test_files_of_questions_have_the_released_form(corpora):
    root = corpora[0.3]
    for split, count in {"train": 300, "dev": 5, "test": 100}.items():
        lines = (root / INNER / f"questions/{split}.txt").read_text("utf-8").split("\n")
        rows = asked(root, split)
        assert len(lines) == len(rows) == count, "and no newline at the end"
        for line, row in zip(lines, rows, strict=True):
            assert line == f"{split}/{row.id} {row.text}%{row.question}%{' '.join(row.gloss)}"
            assert row.question[0].isupper() and "?" not in row.question


def test_all_but_the_questions_is_the_same_at_every_share(corpora):
    first, *others = ([(r.id, r.gloss, r.text) for r in asked(root)] for root in corpora.values())
    assert all(other == first for other in others)
    marks = [json.loads((root / "SIMULATED.json").read_text("utf-8")) for root in corpora.values()]
    assert [m["question_overlap"] for m in marks] == list(OVERLAPS)
    assert marks[0]["homonyms"]["MONTAG"] == "HEUTE"


def test_ceilings_of_a_folder(corpora, tmp_path):
    found = ceilings(corpora[0.3], "test")
    rows = {s: asked(corpora[0.3], s) for s in ("train", "test")}
    assert found == ceilings_of(asker_of(GRAMMARS["de"], 0.3, 1), rows["test"], rows["train"])
    assert isinstance(found, Ceilings) and ceilings(corpora[0.3], "train").both == 1
    with pytest.raises(ConfigError, match="no simulated corpus with simulated questions"):
        ceilings(tmp_path)
    with pytest.raises(DatasetError, match="no sample of val"):
        ceilings(corpora[0.3], "val")
    (tmp_path / "SIMULATED.json").write_text("{")
    with pytest.raises(DatasetError, match=r"SIMULATED\.json is damaged"):
        ceilings(tmp_path)


def test_what_is_written_is_the_shared_sign(corpora):
    rows = layout_of("Phoenix14TQA").read_annotations(corpora[0.3])
    people = make_signers([row.signer for row in rows], 1, Variation.at(0.3))
    grammar, performer = asker_of(GRAMMARS["de"]).grammar, SkeletonPerformer(1, Variation.at(0.3), 25.0)
    own = shared = 0
    for row in (row for row in rows if set(row.gloss) & set(grammar.homonyms)):
        written = np.load(layout_of("Phoenix14TQA").place(corpora[0.3], row, "labels"))
        shared += np.array_equal(labels_of(performer, grammar.signs(row.gloss), people[row.signer], row), written)
        own += np.array_equal(labels_of(performer, row.gloss, people[row.signer], row), written)
    assert shared > 150 and own < 0.1 * shared


def labels_of(performer, gloss, signer, row):
    return performer.perform(gloss, signer, stream(1, "clip", row.id)).labels


# CSL-Daily.


@pytest.fixture(scope="module")
def chinese(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chinese")
    return {o: simulate("CSLDailyQA", folder / str(o), (300, 6, 200), render=(), question_overlap=o) for o in OVERLAPS}


def test_copying_chinese_questions_gains_with_their_share(chinese):
    """Sentences are short: at 0.3 a run is a word or two, and no four characters of it in a row are right."""
    found = copied(chinese, "csl-daily/char-fold", "CSLDailyQA")
    for name in ("bleu1", "bleu4", "rouge_l_f1"):
        scores = [values[name] for values in found]
        assert scores == sorted(scores)
        assert len(set(scores[1:] if name == "bleu4" else scores)) == (3 if name == "bleu4" else 4)
    assert found[0]["bleu1"] < 6 and found[0]["bleu4"] == 0 and found[3]["bleu4"] > 25


def test_chinese_files_have_the_released_form(chinese):
    folder = chinese[0.3] / "CSL-Daily"
    table = [line.split("|") for line in (folder / "sentence_label/video_map.txt").read_text("utf-8").splitlines()[1:]]
    by_name = {cells[1]: cells for cells in table}
    for split, count in {"train": 300, "dev": 6, "test": 200}.items():
        lines = (folder / f"questions/{split}.txt").read_text("utf-8").split("\n")
        questions = {row.id: row.question for row in asked(chinese[0.3], split, "CSLDailyQA")}
        assert len(lines) == len(questions) == count
        for line in lines:
            *cells, question, last = line.split("|")
            assert cells == by_name[cells[1]][:6] and last == "" and question == questions[cells[1]]
            assert question.endswith("？") and " " in question and not question.startswith(" ")


def test_repetitions_of_a_sentence_have_one_question(chinese):
    by_text: dict = {}
    for row in asked(chinese[0.6], "train", "CSLDailyQA"):
        by_text.setdefault(row.text, []).append(row)
    assert {len(rows) for rows in by_text.values()} == {2}
    assert all(len({row.question for row in rows}) == 1 for rows in by_text.values())


def test_real_chinese_questions_stay_as_they_are(shared_data, tmp_path, caplog):
    labels = tmp_path / "CSL-Daily/sentence_label"
    labels.mkdir(parents=True)
    source = shared_data / "csl_daily/sentence_label"
    (labels / "video_map.txt").write_bytes((source / "video_map.dev_test.txt").read_bytes())
    (labels / "split_1.txt").write_bytes((source / "split_1.txt").read_bytes())
    (tmp_path / "CSL-Daily/questions").symlink_to(shared_data / "csl_daily_qa")
    root = simulate("CSLDailyQA", tmp_path / "out", (1, 40, 30), annotations=tmp_path, render=(), frame_size=(64, 64))
    for split, count in {"dev": 40, "test": 30}.items():
        real = (shared_data / f"csl_daily_qa/{split}.txt").read_text("utf-8").split("\n")
        known = {cells[1]: cells[6] for cells in (line.split("|") for line in real if line)}
        written = [
            line.split("|") for line in (root / f"CSL-Daily/questions/{split}.txt").read_text("utf-8").split("\n")
        ]
        assert len(written) == count and all(known[cells[1]] == cells[6] for cells in written)


# Questions of a person's own annotation.


def annotated(folder, questions=True):
    manual = folder / "PHOENIX-2014-T/annotations/manual"
    manual.mkdir(parents=True)
    header = "name|video|start|end|speaker|orth|translation"
    for split in ("train", "dev"):
        rows = [f"{split}-{k}|{split}-{k}/1/*.png|-1|-1|Anna|MONTAG REGEN|am montag regen" for k in (1, 2)]
        (manual / f"PHOENIX-2014-T.{split}.corpus.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
        if questions:
            lines = [
                f"{split}/{split}-{k} am montag regen%Was kommt am Montag？  Zeile {k}%MONTAG REGEN" for k in (1, 2)
            ]
            (folder / "PHOENIX-2014-T/questions").mkdir(exist_ok=True)
            (folder / f"PHOENIX-2014-T/questions/{split}.txt").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.mark.parametrize("below", ["", "PHOENIX-2014-T", "PHOENIX-2014-T/annotations/manual"])
def test_questions_of_annotations_are_kept_to_the_byte(tmp_path, below):
    source = annotated(tmp_path / "own")
    root = simulate("Phoenix14TQA", tmp_path / "out", annotations=source / below, render=())
    for split in ("train", "dev"):
        name = f"questions/{split}.txt"
        assert (root / INNER / name).read_bytes() == (source / "PHOENIX-2014-T" / name).read_bytes()
    mark = json.loads((root / "SIMULATED.json").read_text("utf-8"))
    assert "homonyms" not in mark and "question_overlap" not in mark
    with pytest.raises(ConfigError, match="simulated questions"):
        ceilings(root, "train")


def test_questions_of_annotations_are_not_called_simulated(tmp_path):
    from slt_zoo import Phoenix14TQA

    root = simulate("Phoenix14TQA", tmp_path / "out", annotations=annotated(tmp_path / "own"))
    assert {s.meta["question_source"] for s in Phoenix14TQA(str(root)).manifest("dev")} == {"released"}


def test_an_empty_question_of_annotations_stays_empty(tmp_path):
    source = annotated(tmp_path / "own")
    file = source / "PHOENIX-2014-T/questions/dev.txt"
    file.write_text(file.read_text("utf-8").replace("Was kommt am Montag？  Zeile 2", ""), "utf-8")
    root = simulate("Phoenix14TQA", tmp_path / "out", annotations=source, render=())
    assert (root / INNER / "questions/dev.txt").read_bytes() == file.read_bytes()


def test_annotations_without_questions(tmp_path, caplog):
    with pytest.raises(DatasetNotFoundError, match="no questions to the annotation") as error:
        simulate("Phoenix14TQA", tmp_path / "out", annotations=annotated(tmp_path / "a", questions=False))
    assert "questions" in str(error.value) and "data.questions" in str(error.value)
    source = annotated(tmp_path / "b")
    file = source / "PHOENIX-2014-T/questions/dev.txt"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("dev-", "other-"), "utf-8")
    with pytest.raises(AnnotationError, match="no sample of dev has a question"):
        simulate("Phoenix14TQA", tmp_path / "out", annotations=source)
    file.write_text(whole.split("\n")[0], "utf-8")
    root = simulate("Phoenix14TQA", tmp_path / "some", annotations=source, render=())
    assert "1 samples have no question" in caplog.text and "dev-2" in caplog.text
    assert (root / INNER / "questions/dev.txt").read_text("utf-8") == whole.split("\n")[0]
    file.unlink()
    with pytest.raises(DatasetNotFoundError, match="no questions of dev"):
        simulate("Phoenix14TQA", tmp_path / "out", annotations=source)
    assert not (tmp_path / "out").exists()


def test_the_real_questions_stay_as_they_are(shared_data, tmp_path):
    (tmp_path / "PHOENIX-2014-T").mkdir()
    release = shared_data / "phoenix14t" / INNER
    (tmp_path / "PHOENIX-2014-T/annotations").symlink_to(release / "annotations")
    (tmp_path / "PHOENIX-2014-T/questions").symlink_to(shared_data / "phoenix14t_qa")
    root = simulate("Phoenix14TQA", tmp_path / "out", (4, 2, 3), annotations=tmp_path, render=())
    for split, count in {"train": 4, "dev": 2, "test": 3}.items():
        real = (shared_data / f"phoenix14t_qa/{split}.txt").read_bytes().split(b"\n")
        assert (root / INNER / f"questions/{split}.txt").read_bytes().split(b"\n") == real[:count]


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"corpus": "Phoenix14T", "question_overlap": 0.3}, "Phoenix14T has no questions"),
        ({"question_overlap": 1.1}, "from 0 to 1"),
        ({"question_overlap": -0.1}, "from 0 to 1"),
        ({"question_overlap": float("nan")}, "from 0 to 1"),
    ],
)
def test_bad_shares_are_told_before_anything_is_written(tmp_path, arguments, words):
    with pytest.raises(ConfigError, match=words) as error:
        simulate(**{"corpus": "Phoenix14TQA", "root": tmp_path / "out", "samples": (8, 1, 1), **arguments})
    assert "question_overlap" in str(error.value) and not (tmp_path / "out").exists()
    if "corpus" in arguments:
        assert "Phoenix14TQA" in str(error.value), "and which corpora have some"


def test_a_share_beside_annotations_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="kept as they are"):
        simulate("Phoenix14TQA", tmp_path / "out", annotations=annotated(tmp_path / "own"), question_overlap=0.3)


def test_nobody_asks_about_spelt_words():
    with pytest.raises(ConfigError, match="words that are spelt"):
        make_asker("Phoenix14TQA", spelling("de"), 0.3, 0)


def test_the_command_takes_the_share(tmp_path, capsys):
    words = ["simulate", "--corpus", "Phoenix14TQA", "--samples", "8", "2", "2", "--question-overlap", "0.6"]
    assert command.main([*words, "--root", str(tmp_path / "a")]) == 0
    assert "question overlap 0.6" in capsys.readouterr().out
    simulate("Phoenix14TQA", tmp_path / "b", (8, 2, 2), question_overlap=0.6)
    assert all(
        (tmp_path / "a" / p.relative_to(tmp_path / "b")).read_bytes() == p.read_bytes()
        for p in (tmp_path / "b").rglob("*")
        if p.is_file()
    )

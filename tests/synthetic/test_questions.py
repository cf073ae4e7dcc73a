"""Simulated questions: homonyms, cues, the share of a sentence that a question holds, ceilings, files."""

import json

import numpy as np
import pytest

from slt_zoo.cli import simulate as command
from slt_zoo.errors import AnnotationError, ConfigError, DatasetNotFoundError
from slt_zoo.metrics import score
from slt_zoo.metrics.baselines import copy_question
from slt_zoo.synthetic import simulate
from slt_zoo.synthetic.ceilings import Ceilings, ceilings, ceilings_of
from slt_zoo.synthetic.grammars import GRAMMARS, spelling
from slt_zoo.synthetic.layouts import layout_of
from slt_zoo.synthetic.performer import SharedSigns, SkeletonPerformer
from slt_zoo.synthetic.questions import make_asker
from slt_zoo.synthetic.sentences import Row, draw
from slt_zoo.synthetic.signers import make_signers
from slt_zoo.synthetic.variation import Variation, stream

INNER = "PHOENIX-2014-T-release-v3/PHOENIX-2014-T"
OVERLAPS = (0.0, 0.3, 0.6, 1.0)
ASKING = [grammar for grammar in GRAMMARS.values() if grammar.asking is not None]
EACH = pytest.mark.parametrize("grammar", ASKING, ids=lambda g: g.language)


def asker_of(grammar, overlap=0.3, seed=0):
    return make_asker("a corpus", grammar, overlap, seed)


def phrases(grammar):
    return [(tuple(gloss.split()), text) for family in grammar.sentences().values() for gloss, text in family]


def some(grammar, count=600):
    every = phrases(grammar)
    return [every[k] for k in np.random.default_rng(0).permutation(len(every))[:count]]


def test_the_languages_of_the_corpora_with_questions_can_ask():
    assert {grammar.language for grammar in ASKING} >= {"de", "zh"}


# Homonyms.


@EACH
def test_where_one_homonym_stands_the_other_may_stand_in_the_same_pattern(grammar):
    partners = asker_of(grammar).partners
    assert len(partners) == 2 * len(grammar.asking.homonyms), "a gloss is in one pair at most"
    for family in grammar.sentences().values():
        known = {gloss for gloss, _ in family}
        for gloss in known:
            words = gloss.split()
            for k, word in enumerate(words):
                if word in partners:
                    assert " ".join([*words[:k], partners[word], *words[k + 1 :]]) in known


@EACH
def test_signs_leave_as_many_readings_as_homonyms_make(grammar):
    asker = asker_of(grammar)
    readings: dict = {}
    for gloss, _ in phrases(grammar):
        readings.setdefault(asker.grammar.signs(gloss), []).append(gloss)
    for own in readings.values():
        assert len(own) == 2 ** sum(g in asker.partners for g in own[0])
        assert len({asker.cues(gloss) for gloss in own}) == len(own), "the cue tells them apart"


@EACH
def test_about_seven_of_ten_sentences_have_a_homonym(grammar):
    partners = asker_of(grammar).partners
    shares = [
        np.mean([any(g in partners for g in gloss.split()) for gloss, _ in f]) for f in grammar.sentences().values()
    ]
    assert 0.7 < np.mean(shares) < 0.76
    assert min(shares) > 0.5, "in every pattern"


def test_homonyms_are_performed_alike_and_other_glosses_are_not():
    grammar = asker_of(GRAMMARS["de"]).grammar
    performer = SharedSigns(SkeletonPerformer(0, Variation.at(0.3), 25.0), grammar.signs)
    signer = make_signers(["a"], 0, Variation.at(0.3))["a"]

    def motion(*gloss):
        return performer.perform(gloss, signer, stream(0, "take")).xyz

    assert np.array_equal(motion("NORD", "MONTAG", "KALT"), motion("NORD", "HEUTE", "NASS"))
    assert not np.array_equal(motion("NORD", "MONTAG"), motion("NORD", "DIENSTAG")[: len(motion("NORD", "MONTAG"))])
    assert grammar.signs(["MONTAG"]) == ("HEUTE",) and GRAMMARS["de"].signs(["MONTAG"]) == ("MONTAG",)


@EACH
@pytest.mark.parametrize("samples", [(8, 4, 4), (600, 100, 200), (4000, 100, 100)])
def test_no_signing_of_dev_or_test_was_trained_on_and_homonyms_stay_as_frequent(grammar, samples):
    asker = asker_of(grammar)
    drawn = draw(asker.grammar, samples, seed=4)
    signed = {s: {asker.grammar.signs(gloss.split()) for gloss, _ in rows} for s, rows in drawn.items()}
    assert not signed["train"] & (signed["dev"] | signed["test"])
    assert [len(rows) for rows in drawn.values()] == list(samples)
    shares = {s: np.mean([any(g in asker.partners for g in gloss.split()) for gloss, _ in drawn[s]]) for s in drawn}
    if samples[0] > 100:
        assert abs(shares["train"] - shares["test"]) < 0.12


# Questions.


def repeated(asker, gloss, text, question):
    """The words of a question that are neither frame nor cue."""
    blank = asker.asking.ask(asker.cues(gloss), ())
    if asker.grammar.characters:  # 请问 ... 如何 ， <words> ？
        question, blank = (q.rstrip("？").replace("，", " ").split() for q in (question, blank))
    else:
        question, blank = question.split(), blank.split()
    assert question[: len(blank)] == blank
    return [word.lower() for word in question[len(blank) :]]


@EACH
def test_cues_and_frames_share_no_word_with_any_sentence(grammar):
    asker = asker_of(grammar, overlap=0)
    words = {w for _, text in phrases(grammar) for w in asker.asking.words(text)}
    said = {asker.question(gloss, text) for gloss, text in phrases(grammar)}
    assert len(said) < 20 and all(said)
    units = {u.lower() for q in said for u in grammar.units(q)} - set("，？")
    assert not units & ({u for w in words for u in grammar.units(w)})


@EACH
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_question_holds_its_share_of_the_other_words_and_no_more(grammar, overlap):
    asker = asker_of(grammar, overlap)
    for gloss, text in some(grammar):
        words = asker.asking.words(text)
        hidden = {k for _, places in asker.own(gloss, text) for k in places}
        others = [word for k, word in enumerate(words) if k not in hidden]
        assert bool(hidden) == any(g in asker.partners for g in gloss) and others
        found = repeated(asker, gloss, text, asker.question(gloss, text))
        assert overlap * len(others) - 1 < len(found) <= overlap * len(others) + 1e-9
        assert " ".join(found) in " ".join(others), "a run of them, in order"
        assert found == others if overlap == 1 else True


@EACH
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_the_cue_and_nothing_else_tells_homonyms_apart(grammar, overlap):
    asker = asker_of(grammar, overlap)
    pairs = 0
    for gloss, text in some(grammar):
        for k, member in enumerate(gloss):
            if member in asker.partners:
                other = (*gloss[:k], asker.partners[member], *gloss[k + 1 :])
                theirs = asker.texts[" ".join(other)]
                assert asker.question(gloss, text) != asker.question(other, theirs)
                assert asker.kept(gloss, text) == asker.kept(other, theirs)
                pairs += 1
    assert pairs > 300


def test_what_questions_look_like():
    asker = asker_of(GRAMMARS["de"], 1.0)
    text = "am montag wird es im norden etwas kälter als zuletzt"
    assert asker.question(["MONTAG", "NORD", "KALT", "MEHR"], text) == (
        "Welche Temperatur hat das Wetter laut Wochenplan wird es im Norden etwas als zuletzt"
    )
    asker = asker_of(GRAMMARS["zh"], 1.0)
    assert (
        asker.question(["今天", "学校", "我", "书", "买"], "我今天在学校里买书。")
        == "请问 日子 与 用品 如何 ， 我 在 学校 里 买？"
    )


def test_another_seed_repeats_other_words():
    first, second = ([asker_of(GRAMMARS["de"], 0.3, s).question(*p) for p in some(GRAMMARS["de"], 50)] for s in (0, 1))
    assert first != second and first == [
        asker_of(GRAMMARS["de"], 0.3, 0).question(*p) for p in some(GRAMMARS["de"], 50)
    ]


# Ceilings.


def rows_of(grammar, split, samples=(800, 1, 200)):
    drawn = draw(asker_of(grammar).grammar, samples, 0)[split]
    return [Row(str(k), split, "s", tuple(gloss.split()), text) for k, (gloss, text) in enumerate(drawn)]


@EACH
def test_neither_input_suffices_and_both_do(grammar):
    rows, train = rows_of(grammar, "test"), rows_of(grammar, "train")
    found = [ceilings_of(asker_of(grammar, overlap), rows, train) for overlap in OVERLAPS]
    asker = asker_of(grammar)
    by_hand = np.mean([0.5 ** sum(g in asker.partners for g in row.gloss) for row in rows])
    assert all(c.video == pytest.approx(by_hand) and c.both == 1 for c in found)
    questions = [c.question for c in found]
    assert 0.4 < by_hand < 0.7 and questions == sorted(questions)
    assert questions[0] < 0.02 and questions[1] < 0.1 and questions[3] < 0.85


def test_the_question_ceiling_is_what_a_count_of_equal_questions_gives():
    """At overlap 0 nothing is drawn: sentences with one question are as likely as their patterns have few sentences."""
    grammar = GRAMMARS["zh"]
    asker, weight, best = asker_of(grammar, 0.0), {}, {}
    for family in grammar.sentences().values():
        for gloss, text in family:
            question = asker.question(gloss.split(), text)
            weight[question] = weight.get(question, 0) + 1 / len(family)
            best[question] = max(best.get(question, 0), 1 / len(family))
    rows = rows_of(grammar, "train")
    expected = np.mean([best[q] / weight[q] for q in (asker.question(r.gloss, r.text) for r in rows)])
    assert ceilings_of(asker, rows).question == pytest.approx(expected)


def test_what_training_rules_out_counts():
    grammar = GRAMMARS["de"]
    row = Row("a", "test", "s", ("MONTAG", "NORD", "KALT"), "am montag wird es im norden kalt")
    known = [p for p in phrases(grammar) if not set(p[0]) & {"HEUTE"}]  # no training sentence is of today
    train = [
        Row("b", "train", "s", *p) for p in known if asker_of(grammar).grammar.signs(p[0]) != ("HEUTE", "NORD", "KALT")
    ]
    assert ceilings_of(asker_of(grammar), [row]).video == 0.25
    assert ceilings_of(asker_of(grammar), [row], train).video == 0.5, "kalt or nass"


# Files.


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    return {
        o: simulate("Phoenix14TQA", folder / str(o), (300, 5, 100), seed=1, render=(), question_overlap=o)
        for o in OVERLAPS
    }


def asked(root, split="test", corpus="Phoenix14TQA"):
    return [row for row in layout_of(corpus).read_annotations(root) if row.split == split]


def test_copying_the_question_gains_with_its_share(corpora):
    scores = []
    for root in corpora.values():
        rows = asked(root)
        said, references = copy_question({r.id: r.question for r in rows}), {r.id: [r.text] for r in rows}
        scores.append(score(said, references, "phoenix14t/signjoey").values["bleu4"])
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

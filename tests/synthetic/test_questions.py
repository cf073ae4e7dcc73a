"""Simulated questions: homonyms, cues, the share of a sentence that a question holds, ceilings."""

import numpy as np
import pytest

from slt_zoo.synthetic.ceilings import ceilings_of
from slt_zoo.synthetic.grammars import GRAMMARS
from slt_zoo.synthetic.performer import SharedSigns, SkeletonPerformer
from slt_zoo.synthetic.questions import make_asker
from slt_zoo.synthetic.sentences import Row, draw
from slt_zoo.synthetic.signers import make_signers
from slt_zoo.synthetic.variation import Variation, stream

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

"""Which sentences a corpus has: drawn from a grammar, or taken from annotation files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from slt_zoo.errors import ConfigError
from slt_zoo.synthetic.grammars.grammar import Grammar, Phrase
from slt_zoo.synthetic.variation import stream

__all__ = ["SPLITS", "Row", "distinct", "draw", "held_out", "turns"]

_LATE = 0.25  # share of the sentences that train takes last where there are homonyms
_TRAIN_PER_FAMILY = 6  # fewer training sentences than this a family would leave dev and test without known words

_FEWEST = 12

SPLITS = ("train", "dev", "test")  # as in slt_zoo.types, which would import torch


@dataclass(frozen=True)
class Row:
    """One sample of a corpus, as its annotation says.

    Attributes:
        id: unique in the corpus.
        split: train, dev or test.
        signer: label.
        gloss: the glosses.
        text: the translation.
        num_frames: how many were written; None: it was not performed yet.
        recording: the longer video that the sample is a part of, where the corpus has such.
        start: the sample's first frame in it.
        second_split: its split in the corpus's second scheme of splits, where there is one.
        question: as its file has it; None: the corpus or the sample has none.
    """

    id: str
    split: str
    signer: str
    gloss: tuple[str, ...]
    text: str
    num_frames: int | None = None
    recording: str | None = None
    start: int = 0
    second_split: str | None = None
    question: str | None = None


def distinct(samples: int, signers: int) -> int:
    """How many sentences a split of a corpus has whose sentences are signed by several people.

    Each is signed by two signers, as long as there are so many. At least twelve differ (if there are so many samples):
    fewer would leave dev and test without known words.
    """
    return samples if signers < 2 else min(samples, max(_FEWEST, -(-samples // 2)))


def turns(samples: int, signers: int) -> list[tuple[int, int]]:
    """Sentence and signer of each sample, both counted from 0: no signer has a sentence twice."""
    count = distinct(samples, signers)
    return [(k % count, (k % count + k // count) % signers) for k in range(samples)]


def held_out(grammar: Grammar, train: Sequence[Phrase]) -> Callable[[Phrase], bool]:
    """Tells which sentences dev and test may have: new signing, made of known glosses and known words."""
    glosses = {g for gloss, _ in train for g in gloss.split()}
    units = {u for _, text in train for u in grammar.units(text)}
    signed = {grammar.signs(gloss.split()) for gloss, _ in train}

    def may(phrase: Phrase) -> bool:
        gloss = phrase[0].split()
        known = glosses.issuperset(gloss) and units.issuperset(grammar.units(phrase[1]))
        return known and grammar.signs(gloss) not in signed

    return may


def draw(grammar: Grammar, samples: Sequence[int], seed: int) -> dict[str, list[Phrase]]:
    """Draw distinct sentences for the splits, evenly from the grammar's families.

    No sentence of dev or test occurs in train, or in the other one; all their glosses and words do. Sentences that
    homonyms make look the same are never both in train and outside of it.

    Args:
        grammar: gives the sentences.
        samples: how many for train, dev and test.
        seed: of the drawing.

    Raises:
        ConfigError: the grammar has too few sentences, or too few that the words of the training split can say.
    """
    size = sum(len(s) for s in grammar.sentences().values())
    if sum(samples) > size:
        raise ConfigError(
            f"the {grammar.language} grammar has too few sentences",
            where="samples",
            expected=f"at most {size} in all, each sentence occurs once",
            found=f"{' + '.join(map(str, samples))} = {sum(samples)}",
            todo="ask for fewer samples, or give `annotations`",
        )
    families = max(1, samples[0] // _TRAIN_PER_FAMILY)
    every = list(_order(grammar, families, stream(seed, "sentences", grammar.language)))
    late = _late(grammar, every, stream(seed, "held out", grammar.language))
    first, last = ([p for p, is_late in zip(every, late, strict=True) if is_late == want] for want in (False, True))
    train = (first + last)[: samples[0]]
    taken = set(train)
    rest = (phrase for phrase in last + first if phrase not in taken)
    found = list(islice(filter(held_out(grammar, train), rest), samples[1] + samples[2]))
    if len(found) < samples[1] + samples[2]:
        raise ConfigError(
            "the words of the training split are too few to say other sentences with them",
            where="samples",
            expected=f"{samples[1]} + {samples[2]} sentences of known glosses and words for dev and test"
            + ", signed like none of train" * bool(grammar.homonyms),
            found=f"{len(found)} that the words of {samples[0]} training sentences can say",
            todo="ask for more training samples, or fewer of dev and test",
        )
    return {"train": train, "dev": found[: samples[1]], "test": found[samples[1] :]}


def _late(grammar: Grammar, phrases: Sequence[Phrase], rng: np.random.Generator) -> list[bool]:
    """Which sentences train takes last, so that others signed like them remain; without homonyms none is like them."""
    if not grammar.homonyms:
        return [False] * len(phrases)
    signed = [grammar.signs(gloss.split()) for gloss, _ in phrases]
    classes = sorted(set(signed))
    late = {signs for signs, draw in zip(classes, rng.random(len(classes)), strict=True) if draw < _LATE}
    return [signs in late for signs in signed]


def _order(grammar: Grammar, families: int, rng: np.random.Generator) -> Iterator[Phrase]:
    """Every sentence once: one of each family in turn, as long as it has any; first those of so many families."""
    rest = {name: [own[k] for k in rng.permutation(len(own))] for name, own in grammar.sentences().items()}
    shuffled = [list(rest)[k] for k in rng.permutation(len(rest))]
    for names in (shuffled[:families], shuffled[families:]):
        while any(rest[name] for name in names):
            for k in rng.permutation(len(names)):
                if rest[names[k]]:
                    yield rest[names[k]].pop()

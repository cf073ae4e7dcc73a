"""Which sentences a corpus has: drawn from a grammar, or taken from annotation files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slt_zoo.errors import ConfigError
from slt_zoo.synthetic.grammars.grammar import Grammar, Phrase
from slt_zoo.synthetic.variation import stream

__all__ = ["SPLITS", "Row", "distinct", "draw", "turns"]

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


def draw(grammar: Grammar, samples: Sequence[int], seed: int) -> dict[str, list[Phrase]]:
    """Draw distinct sentences for the splits, evenly from the grammar's families.

    No sentence of dev or test occurs in train, or in the other one; all their glosses and words do.

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
    order = _order(grammar, families, stream(seed, "sentences", grammar.language))
    train = [next(order) for _ in range(samples[0])]
    glosses = {g for gloss, _ in train for g in gloss.split()}
    units = {u for _, text in train for u in grammar.units(text)}
    held_out: list[Phrase] = []
    for gloss, text in order:
        if len(held_out) == samples[1] + samples[2]:
            break
        if glosses.issuperset(gloss.split()) and units.issuperset(grammar.units(text)):
            held_out.append((gloss, text))
    if len(held_out) < samples[1] + samples[2]:
        raise ConfigError(
            "the words of the training split are too few to say other sentences with them",
            where="samples",
            expected=f"{samples[1]} + {samples[2]} sentences of known glosses and words for dev and test",
            found=f"{len(held_out)} that the words of {samples[0]} training sentences can say",
            todo="ask for more training samples, or fewer of dev and test",
        )
    return {"train": train, "dev": held_out[: samples[1]], "test": held_out[samples[1] :]}


def _order(grammar: Grammar, families: int, rng: np.random.Generator) -> Iterator[Phrase]:
    """Every sentence once: one of each family in turn, as long as it has any; first those of so many families."""
    rest = {name: [own[k] for k in rng.permutation(len(own))] for name, own in grammar.sentences().items()}
    shuffled = [list(rest)[k] for k in rng.permutation(len(rest))]
    for names in (shuffled[:families], shuffled[families:]):
        while any(rest[name] for name in names):
            for k in rng.permutation(len(names)):
                if rest[names[k]]:
                    yield rest[names[k]].pop()

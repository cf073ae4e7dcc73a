"""Can the tokenizer write the references at all?"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from slt_zoo.errors import VocabularyError, first_few
from slt_zoo.text.codec import TextCodec
from slt_zoo.text.given import texts_of
from slt_zoo.text.normalise import Normaliser

if TYPE_CHECKING:
    from slt_zoo.text.subword import SubwordCodec

__all__ = ["Coverage", "check_reachable"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Coverage:
    """How much of some texts a tokenizer has rows for.

    Attributes:
        texts: their number.
        subwords: of all texts.
        without_row: sub-words among them that became ``<unk>``, trimmed away or never known.
        texts_touched: texts that hold one of these.
        texts_changed: texts that encoded and decoded are not what `slt_zoo.text.subword.tidy` gives, for whatever
            reason.
        texts_normalised: those among them of which each sub-word has a row: the model's normalisation changed them, and
            no other spelling writes them. The rest hold ``<unk>``.
        unwritable: characters that no ids can write, and how often they occur; most frequent first.
    """

    texts: int
    subwords: int
    without_row: int
    texts_touched: int
    texts_changed: int
    texts_normalised: int
    unwritable: dict[str, int]

    @classmethod
    def of(cls, codec: SubwordCodec, texts: Iterable[str]) -> Coverage:
        """Count."""
        from slt_zoo.text.subword import tidy

        texts = texts_of(texts)
        rows = [codec.subwords(text) for text in texts]
        lost = [row.count(codec.unk_id) for row in rows]
        changed = [back != tidy(text) for text, back in zip(texts, codec.decode(rows), strict=True)]
        unwritable = codec.unknown(texts)
        return cls(
            texts=len(texts),
            subwords=sum(map(len, rows)),
            without_row=sum(lost),
            texts_touched=sum(n > 0 for n in lost),
            texts_changed=sum(changed),
            texts_normalised=sum(not gone and other for gone, other in zip(lost, changed, strict=True)),
            unwritable=dict(sorted(unwritable.items(), key=lambda item: (-item[1], item[0]))),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def check_reachable(codec: TextCodec, references: Mapping[str, Sequence[str]], *, allow: bool = False) -> None:
    """Tell which parts of the references no output of the model can have.

    A codec with a closed list of words (``codec.closed``) has unknown words in every new text; they are counted in the
    log. For any other codec an unknown piece is a character that its maker forgot, and training is refused. References
    that do not come back from the codec's rule of normalisation are counted in the log too.

    Args:
        codec: of the target.
        references: strings by split.
        allow: log instead of refusing.

    Raises:
        VocabularyError: with the characters and how often they occur.
    """
    rule: Normaliser | None = getattr(codec, "normaliser", None)
    for split, texts in references.items():
        changed = 0 if rule is None else sum(not rule.restores(text) for text in texts)
        if changed:
            log.info("%s: %d of %d references do not come back from %s", split, changed, len(texts), rule)
        unknown = codec.unknown(texts)
        if not unknown:
            continue
        touched = sum(bool(codec.unknown([text])) for text in texts)
        pieces = first_few([f"{piece!r} ({count})" for piece, count in unknown.most_common()], 12)
        if codec.closed or allow:
            log.info(
                "%s: %d of %d references hold %s that the vocabulary has not: %s",
                split,
                touched,
                len(texts),
                "words" if codec.closed else "characters",
                pieces,
            )
            continue
        raise VocabularyError(
            f"the tokenizer cannot represent {touched} of {len(texts)} references of {split}, which can then never be "
            "right",
            found=f"{len(unknown)} characters, {unknown.total()} times: {pieces}",
            todo="make the vocabulary of a text that holds them, or pass allow_unreachable=true to train all the same",
        )

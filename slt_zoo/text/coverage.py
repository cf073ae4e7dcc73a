"""Can the tokenizer write the references at all?"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from slt_zoo.errors import VocabularyError, first_few
from slt_zoo.text.codec import TextCodec

__all__ = ["check_reachable"]

log = logging.getLogger(__name__)


def check_reachable(codec: TextCodec, references: Mapping[str, Sequence[str]], *, allow: bool = False) -> None:
    """Tell which parts of the references no output of the model can have.

    A codec with a closed list of words (``codec.closed``) has unknown words in every new text; they are counted in the
    log. For any other codec an unknown piece is a character that its maker forgot, and training is refused.

    Args:
        codec: of the target.
        references: strings by split.
        allow: log instead of refusing.

    Raises:
        VocabularyError: with the characters and how often they occur.
    """
    for split, texts in references.items():
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

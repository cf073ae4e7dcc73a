"""The language side: codecs between strings and token ids."""

from slt_zoo.text.codec import TextCodec, WordCodec, codec_from_dict
from slt_zoo.text.coverage import check_reachable
from slt_zoo.text.normalise import Normaliser
from slt_zoo.text.pseudo_gloss import PseudoGlosses, pseudo_glosses

__all__ = [
    "Normaliser",
    "PseudoGlosses",
    "TextCodec",
    "WordCodec",
    "check_reachable",
    "codec_from_dict",
    "pseudo_glosses",
]

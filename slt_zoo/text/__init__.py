"""The language side: codecs between strings and token ids."""

from slt_zoo.text.codec import TextCodec, WordCodec, codec_from_dict
from slt_zoo.text.coverage import Coverage, check_reachable
from slt_zoo.text.subword import SubwordCodec

__all__ = ["Coverage", "SubwordCodec", "TextCodec", "WordCodec", "check_reachable", "codec_from_dict"]

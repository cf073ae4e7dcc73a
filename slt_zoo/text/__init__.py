"""The language side: codecs between strings and token ids."""

from slt_zoo.text.codec import TextCodec, WordCodec, codec_from_dict
from slt_zoo.text.coverage import check_reachable

__all__ = ["TextCodec", "WordCodec", "check_reachable", "codec_from_dict"]

"""The language side: codecs between strings and token ids."""

from slt_zoo.text.codec import TextCodec, WordCodec, codec_from_dict

__all__ = ["TextCodec", "WordCodec", "codec_from_dict"]

"""Tiny random mBART folders around a SentencePiece model: what the tests of tokenizers and trimming need."""

from __future__ import annotations

from pathlib import Path

import torch

from slt_zoo.text import SubwordCodec
from slt_zoo.text.subword import MBART_LANGUAGES, MODEL_FILE

SENTENCES = [
    "morgen regnet es im norden",
    "im süden scheint die sonne",
    "nachts minus fünf grad im osten",
    "am tag bleibt es trocken und mild",
]


def own_model(texts=SENTENCES, vocabulary=150):
    """A SentencePiece model trained on the spot."""
    return SubwordCodec.fit(texts, vocabulary, "de", languages=MBART_LANGUAGES).model


def tiny_mbart(folder: Path, model: bytes, *, tied: bool = True, rows: int | None = None, seed: int = 0) -> Path:
    """A folder as published, random weights of 16 dimensions inside."""
    from transformers import MBartConfig, MBartForConditionalGeneration

    rows = len(SubwordCodec(model, "de")) if rows is None else rows
    config = MBartConfig(
        vocab_size=rows,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=64,
        tie_word_embeddings=tied,
        scale_embedding=True,
        init_std=0.3,
        decoder_start_token_id=rows - 24,
    )
    torch.manual_seed(seed)
    network = MBartForConditionalGeneration(config)
    network.final_logits_bias.normal_()
    network.save_pretrained(folder)
    (folder / MODEL_FILE).write_bytes(model)
    return folder

"""Hashes of the official references, so that a score can say whether it was taken on them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KNOWN", "Known"]


class Known(NamedTuple):
    """What a `slt_zoo.metrics.reference_hash` stands for."""

    corpus: str
    split: str
    what: str
    size: int

    def __str__(self) -> str:
        return f"{self.corpus} {self.split}, {self.what}, {self.size} sentences"


KNOWN: dict[str, Known] = {
    "23fdae17ee9c42f58ad1ae8144463ac9bbaa4aba406cd40bcdd5bf6c98261f38": Known("Phoenix14T", "train", "text", 7096),
    "df79777688148a2e9cf7f67540fc8318babdd10ec3f8209be20599f0847d0d30": Known("Phoenix14T", "train", "gloss", 7096),
    "1e5604fcd76dafbfc9c5b5629ce2fe9819b57b16f388501342540531dcc79726": Known("Phoenix14T", "dev", "text", 519),
    "748dafce6687d8721a12b6e9a645a6ec0f3470987692132e57dd4e1b7b206ea1": Known("Phoenix14T", "dev", "gloss", 519),
    "526e45d381050b91756cccaf22a6a67d2b5f56089b0be67dfe6da9815d4881c8": Known("Phoenix14T", "test", "text", 642),
    "e48c5d38696ed233a584eaf9133cf9ece8ded43db064335d60490774360edeb2": Known("Phoenix14T", "test", "gloss", 642),
    "1c2cccc2f18236d2fe9aa617feecf8c12e2617bbf2e6adbd32ba4cc019588349": Known(
        "CSLDaily", "dev", "text, smoothed", 1077
    ),
    "9d358536a17a8901b7fd963ac29c43d6ab0fd1976c092e4bcbcefd863c4cf695": Known("CSLDaily", "dev", "gloss", 1077),
    "3c713a78ed99d6a81b18f375d424b99a2ec230dea6b690ed74cd162afb6e8989": Known(
        "CSLDaily", "test", "text, smoothed", 1176
    ),
    "fbb64c29130ffdc297faaf9bb9311374f451ffecd723fa39876aaa5c4eee61e2": Known("CSLDaily", "test", "gloss", 1176),
    "17d077123fb0468d5ec01f1001b9751c6ddfc75eb88b49db3324f70b6a5de2cc": Known(
        "CSLDaily", "train", "text, cvpr21", 18401
    ),
    "38cebf57e4a85add52b54c6df1e14101ab1bb1e8ec8d063d8e2aa0d7f656991d": Known("CSLDaily", "dev", "text, cvpr21", 1077),
    "6aab5e178ed0463fed8b7b701190e0d7c1451f600f605be15667dafcdf694f42": Known("CSLDaily", "test", "text, cvpr21", 1176),
    "5cb8e5ec522fd965f2953d424ed4202cff246d66b4318c48463b6aa99b268c49": Known(
        "How2Sign", "dev", "text, re-aligned", 1741
    ),
    "cd8c874917518a975d4f67d0338b8e254c96181d68812eab291c2179cca75910": Known(
        "How2Sign", "test", "text, re-aligned", 2357
    ),
    "d9a4db8cbf6713da23425a7756dd81e9bbe76d72f10425df0d84d64686887ee1": Known("GSL", "train", "text, si", 8821),
    "4c5c009714d8d95f2353e4683a11788a98bd40c69f6cac45e8b154c402be29b9": Known("GSL", "dev", "text, si", 588),
    "6bab40ed173818c572868cfa3d3d5b1b7216c4c9b1eced65aab15f093bcfb8ee": Known("GSL", "test", "text, si", 881),
    "1e9fb9ddd63417b67b7e973b7e2d46dddb24f2b1862b8cc923061d45cf14a739": Known("GSL", "train", "text, sd", 8189),
    "167005fc4e4364434b77f197e13eb6f678b1137dfb210744f97330cd90acb2ce": Known("GSL", "dev", "text, sd", 1063),
    "53079736d8b80ff02be24ac552be49dc96938eceb2de7fc7383b82125b469284": Known("GSL", "test", "text, sd", 1043),
}
"""By hash. PHOENIX14T: ``.corpus.csv`` of the release. CSL-Daily: ``video_map.txt`` ("smoothed") and the labels that
SLRT, CV-SLT and Uni-Sign share ("cvpr21"), without spaces. How2Sign: the re-aligned files. GSL: the annotation's texts,
untouched, in the signer-independent (si) and signer-dependent (sd) lists."""

PROTOCOL_OF = {
    "Phoenix14T": "phoenix14t/signjoey",
    "Phoenix14TQA": "phoenix14t/signjoey",
    "CSLDaily": "csl-daily/char-fold",
    "CSLDailyQA": "csl-daily/char-fold",
    "How2Sign": "how2sign/sacrebleu",
    "GSL": "gsl/word",
}
"""The protocol that each corpus's tables are mostly read by; the same as the data module's ``protocol``."""

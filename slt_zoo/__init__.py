"""slt_zoo: a PyTorch Lightning model zoo for sign language translation.

Names are resolved on first use, so that ``import slt_zoo`` costs nothing and a command loads only what it needs.
"""

from __future__ import annotations

import importlib
from typing import Any

from slt_zoo._version import __version__

_MODELS = {
    "SAGE": "slt_zoo.models.sage",
    "SAGEPretraining": "slt_zoo.models.sage",
    "SignAttention": "slt_zoo.models.sign_attention",
    "SignSegmentor": "slt_zoo.models.sign_segmentor",
    "TextPretraining": "slt_zoo.models.text_pretraining",
}
_CORPORA = {
    "CSLDaily": "slt_zoo.datamodules.csl_daily",
    "CSLDailyQA": "slt_zoo.datamodules.csl_daily_qa",
    "GSL": "slt_zoo.datamodules.gsl",
    "How2Sign": "slt_zoo.datamodules.how2sign",
    "Phoenix14T": "slt_zoo.datamodules.phoenix14t",
    "Phoenix14TQA": "slt_zoo.datamodules.phoenix14t_qa",
}
_OTHERS = {
    "Batch": "slt_zoo.types",
    "Clip": "slt_zoo.types",
    "ClipPipeline": "slt_zoo.types",
    "DataFacts": "slt_zoo.types",
    "InitFrom": "slt_zoo.loading",
    "InputSpec": "slt_zoo.types",
    "Losses": "slt_zoo.types",
    "Manifest": "slt_zoo.data.manifest",
    "Media": "slt_zoo.types",
    "Prediction": "slt_zoo.types",
    "Ragged": "slt_zoo.types",
    "SLTDataModule": "slt_zoo.data.base",
    "SLTError": "slt_zoo.errors",
    "SLTModule": "slt_zoo.models.base",
    "Sample": "slt_zoo.types",
    "load": "slt_zoo.loading",
}
_HOMES = {**_MODELS, **_CORPORA, **_OTHERS}

__all__ = ["__version__", *sorted(_HOMES)]  # the tables above are the list


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        from slt_zoo.errors import nearest

        near = nearest(name, _HOMES)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise AttributeError(f"module 'slt_zoo' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

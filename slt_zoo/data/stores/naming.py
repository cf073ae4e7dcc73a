"""Ids of extractions: an encoder, the options of ``slt-zoo extract`` that were given, a hash of all settings.

``timm-resnet18,frame-size=112,seed=0,1a2b3c4d`` names a folder, and says the command that makes it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

__all__ = ["extract_command", "extraction_id"]

_COLON = "timm-"


def extraction_id(encoder: str, options: Mapping[str, str], digest: str) -> str:
    """The id of an extraction.

    Args:
        encoder: as ``--encoder`` takes it.
        options: further options by name, without dashes; those that are not the defaults.
        digest: `Extraction.digest`.
    """
    words = [f"{name}={value}" if value else name for name, value in options.items()]
    return ",".join([encoder.replace(":", "-", 1).replace("/", "_"), *words, digest])


def extract_command(
    store_id: str, corpus: str, root: str, chosen: Mapping[str, str] | None = None, splits: Sequence[str] = ()
) -> str:
    """The command that makes the store of an id; what only its maker knows stands in capitals (FILE, STORE).

    Args:
        store_id: of the extraction.
        corpus: class of the data module.
        root: of it.
        chosen: arguments of it that choose between recordings.
        splits: that are needed; none: all.
    """
    encoder, *words = store_id.split(",")
    if encoder.startswith(_COLON):
        encoder = "timm:" + encoder.removeprefix(_COLON)
    command = ["slt-zoo", "extract", "--corpus", corpus, "--root", shlex.quote(root), "--encoder", encoder]
    for word in words[:-1]:
        name, equals, value = word.partition("=")
        if re.fullmatch(r"\d+x\d+", value):
            value = value.replace("x", " ")  # height and width are two words
        if name == "source":
            command += ["--poses" if encoder == "pose" else "--frames", "STORE"]
        else:
            command += [f"--{name}", *(["FILE" if name == "weights" else value] if equals else [])]
    settings = [shlex.quote(f"{name}={value}") for name, value in (chosen or {}).items()]
    command += ["--set", *settings] if settings else []
    return " ".join([*command, *(["--splits", *splits] if splits else [])])

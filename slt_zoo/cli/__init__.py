"""The command ``slt-zoo``: routes its first word to a module; neither torch nor lightning is imported for that."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from slt_zoo._version import __version__
from slt_zoo.errors import SLTError, UnknownNameError

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "simulate a small corpus, train on it, write a report (minutes, no download)"),
    "list": ("catalog", "models, corpora, recipes, protocols"),
    "show": ("catalog", "a recipe: its phases, settings and published numbers"),
    "fit": ("training", "train one phase: --config zoo:<model>/<corpus>/<phase> --data.root DIR"),
    "run": ("run", "train all phases of a recipe in order and test; finished phases are skipped"),
    "validate": ("training", "score a run on the development split"),
    "test": ("training", "score a run on the test split"),
    "predict": ("training", "decode a split without scoring it"),
    "score": ("score", "score any system's output under a named protocol, beside simple baselines"),
    "compare": ("compare", "which differences between systems are real"),
    "align": ("align", "how SAGE's visual tokens and the tokens of the texts are matched: numbers and figures"),
    "doctor": ("doctor", "compare a corpus on the disk with the published one"),
    "extract": ("extract", "features, poses or resized frames of a corpus, into a store"),
    "segment": ("segment", "sign boundaries of a corpus, a file a sample"),
    "pseudo-gloss": ("pseudo_gloss", "content words of a corpus's sentences, as JSON lines"),
    "tokenizer": ("tokenizer", "cut an mBART to what a corpus uses"),
    "bench": ("bench", "how fast data are read here (data), what visual tokens cost (tokens)"),
    "simulate": ("simulate", "write simulated signing in a corpus's official layout"),
}
"""Word to (module of this package, what it does). The module has ``main(argv)``, which gets the word too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: words after ``slt-zoo``; those of the process by default.

    Returns:
        The exit status: 0, or 2 after an error of use, which is told in one message.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"slt-zoo {__version__}")
        return 0
    try:
        if words[0] not in COMMANDS:
            raise UnknownNameError("command", words[0], COMMANDS, todo="`slt-zoo --help` lists them")
        module = importlib.import_module(f"slt_zoo.cli.{COMMANDS[words[0]][0]}")
        status: int = module.main(words)
    except SLTError as error:
        if os.environ.get("SLT_ZOO_DEBUG"):
            raise
        print(f"slt-zoo: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if os.environ.get("SLT_ZOO_DEBUG") or error.strerror is None:
            raise
        print(f"slt-zoo: error: {error.strerror.lower()}\n  Where: {error.filename}", file=sys.stderr)
        return 2
    return status


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {word:<{width}}  {what}" for word, (_, what) in COMMANDS.items())
    return (
        "usage: slt-zoo COMMAND ...\n\nA model zoo for sign language translation.\n\n"
        f"commands:\n{rows}\n\n`slt-zoo COMMAND --help` tells more; --version prints {__version__}.\n"
        "SLT_ZOO_DEBUG=1 shows where an error came from."
    )

"""A corpus as commands other than training name it: ``--corpus NAME --root DIR --set NAME=VALUE``."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import slt_zoo
from slt_zoo.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from slt_zoo.data.base import SLTDataModule

__all__ = ["name_corpus", "one_or_more_places", "open_corpus"]

_SPLIT = "{split}"


def name_corpus(
    parser: argparse.ArgumentParser,
    *media: Literal["poses", "features", "frames"],
    splits: Sequence[str] | None = ("train", "dev", "test"),
    what: str = "",
) -> None:
    """Add the options that name a corpus to a command's.

    Args:
        parser: of the command.
        media: whose places may be given.
        splits: the default of ``--splits``; None: the command has no such option.
        what: of the splits, in words.
    """
    parser.add_argument("--corpus", required=True, metavar="NAME", help="`slt-zoo list corpora`")
    parser.add_argument("--root", required=True, metavar="DIR", help="as data.root")
    if splits is not None:
        told = " ".join(part for part in (what, f"({' '.join(splits)})") if part)
        parser.add_argument("--splits", nargs="+", default=list(splits), help=told)
    for kind in media:
        if kind == "features":
            parser.add_argument("--features", type=one_or_more_places, metavar="PLACE", help="as data.features")
        else:
            parser.add_argument(f"--{kind}", metavar="DIR", help=f"as data.{kind}")
    parser.add_argument("--set", nargs="+", metavar="NAME=VALUE", default=[], help="other arguments of the corpus")


def one_or_more_places(word: str) -> str | list[str]:
    """What ``--features`` says, as ``data.features`` takes it: a place, or a list of places in square brackets.

    Raises:
        ConfigError: a list that is not closed, or not of names.
    """
    import yaml

    if not word.startswith("["):
        return word
    stands_for = "\ue000"  # in a list, braces would begin a mapping
    try:
        names = yaml.safe_load(word.replace(_SPLIT, stands_for))
    except yaml.YAMLError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            "--features is a place, or a list of places to be joined along the width",
            expected="PLACE, or '[PLACE, PLACE]' in quotation marks",
            found=word,
        )
    return [name.replace(stands_for, _SPLIT) for name in names]


def open_corpus(name: str, root: str, words: Sequence[str] = (), **given: Any) -> SLTDataModule:
    """The data module of a corpus.

    Args:
        name: its class.
        root: its folder.
        words: further arguments as ``NAME=VALUE``; values as in a recipe.
        given: further arguments; None: not given.

    Raises:
        UnknownNameError: there is no such corpus or argument; with the nearest.
        ConfigError: a word without ``=``.
    """
    import yaml

    if name not in slt_zoo._CORPORA:
        raise UnknownNameError("corpus", name, slt_zoo._CORPORA)
    corpus = getattr(slt_zoo, name)
    arguments = {argument: value for argument, value in given.items() if value is not None}
    classes = [cls for cls in inspect.getmro(corpus) if cls.__module__.startswith("slt_zoo")]
    known = {n for cls in classes for n in inspect.signature(cls).parameters} - {"base", "root", "args", "kwargs"}
    for word in words:
        argument, equals, value = word.partition("=")
        if not equals:
            raise ConfigError("--set takes NAME=VALUE", found=word)
        if argument not in known:
            raise UnknownNameError(f"argument of {name}", argument, known)
        arguments[argument] = yaml.safe_load(value)
    data: SLTDataModule = corpus(root, **arguments)
    return data

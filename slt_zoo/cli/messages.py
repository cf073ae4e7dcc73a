"""Errors of use told in a few lines: what jsonargparse, Lightning and the system say, without what only they need."""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import slt_zoo
from slt_zoo.errors import ConfigError, SLTError, nearest

__all__ = ["Words", "explain", "parse_error"]

_EXTRAS = {"tensorboard": "tensorboard", "tensorboardX": "tensorboard"}


_SIMULATE = "`slt-zoo simulate --corpus Phoenix14T --root DIR` makes a simulated one to try"


class Words(argparse.ArgumentParser):
    """An argument parser that answers a misspelt option or choice with the nearest one."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print.

        Raises:
            ConfigError: always.
        """
        known = {option for action in self._actions for option in action.option_strings}
        wrong = re.findall(r"--?[\w-]+", message) if message.startswith("unrecognized") else []
        hints = [f"{word}: did you mean {' or '.join(near)}?" for word in wrong if (near := nearest(word, known))]
        choice = re.search(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)", message)
        if choice and (near := nearest(choice[1], re.findall(r"[\w/-]+", choice[2]))):
            hints.append(f"did you mean {' or '.join(near)}?")
        raise ConfigError(message, todo=" ".join([*hints, f"`{self.prog} --help` lists the options"]))


def parse_error(message: str, command: str, known: set[str]) -> ConfigError:
    """What a person needs of jsonargparse's message.

    Args:
        message: as it came.
        command: ``fit``, ``test``, ...
        known: options of the parser.
    """
    help_ = (
        f"`slt-zoo {command} --help` lists the options, `--model.help CLASS` and `--data.help CLASS` those of a class"
    )
    if re.search(r"required: .*\b(model|data)\b", message):
        return ConfigError(
            f"`slt-zoo {command}` needs a model and a corpus",
            todo="name a recipe, --config zoo:<model>/<corpus> (`slt-zoo list recipes`), "
            f"or the classes, --model CLASS --data CLASS; and the folder of the corpus, --data.root DIR ({_SIMULATE})",
        )
    needed = re.search(r"class_path '([\w.]+)':\s+the following arguments are required: ([\w, ]+)", message)
    if needed and "SLTDataModule" not in needed[1]:
        group, name = "data" if 'key "data"' in message else "model", needed[1].rpartition(".")[2]
        options = " ".join(f"--{group}.{argument.strip()} VALUE" for argument in needed[2].split(","))
        simulate = _SIMULATE.replace("Phoenix14T", name if name in slt_zoo._CORPORA else "Phoenix14T")
        return ConfigError(
            f"{name} needs {needed[2]}",
            todo=f"pass {options}" + (f": the folder of the corpus; {simulate}" if needed[2] == "root" else ""),
        )
    if short_name := re.search(r"Expected a dot import path string: (\w+)", message):
        return _no_import_path(short_name[1])
    if nameless := re.search(r"class_path 'slt_zoo\.[\w.]*(SLTModule|SLTDataModule)'", message):
        return _nothing_below(command, nameless[1])
    hints = []
    for option in re.findall(r"(--[\w.]+)", message) if "nrecognized" in message else []:
        near = nearest(option, known, cutoff=0.75)
        hints += [f"{option}: did you mean {' or '.join(near)}?" if near else f"there is no option {option}"]
    for path, option in re.findall(r"class_path '([\w.]+)':\s+Option '(\w+)' is not accepted", message):
        near = nearest(option, _arguments_of(path))
        hints += [f"{path} has no argument {option!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")]
    short = _short(message)
    if not hints:
        return ConfigError(short, todo=help_)
    return ConfigError(hints[0], found=short.splitlines()[-1].strip(), todo="; ".join(hints[1:]) or help_)


def _no_import_path(name: str) -> ConfigError:
    """For a class that a configuration file calls by its short name."""
    for group, names in (("data", slt_zoo._CORPORA), ("model", slt_zoo._MODELS)):
        if name in names:
            return ConfigError(
                f"a class_path is a name with its module: {name} alone is none",
                expected=f"class_path: slt_zoo.{name}",
                todo=f"write it so in the file, or name the class on the command line: --{group} {name}",
            )
    near = nearest(name, [*slt_zoo._CORPORA, *slt_zoo._MODELS])
    return ConfigError(
        f"a class_path is a name with its module, as slt_zoo.Phoenix14T; {name} alone is none",
        todo=f"did you mean {' or '.join(f'slt_zoo.{n}' for n in near)}?" if near else None,
    )


def _nothing_below(command: str, base: str) -> ConfigError:
    """For arguments of a class that nobody named: those of an overlay without a recipe below it."""
    what, option = ("model", "--model CLASS") if base == "SLTModule" else ("corpus", "--data CLASS")
    return ConfigError(
        f"no {what} is named: an overlay, such as zoo:sign_attention/tiny, goes on top of a recipe and is none itself",
        expected=f"a recipe before the overlay (`slt-zoo list recipes`), or {option} before it; and --data.root DIR",
        todo=f"slt-zoo {command} --config zoo:sign_attention/synthetic --config zoo:sign_attention/tiny "
        f"--data.root DIR, for example; {_SIMULATE}",
    )


def explain(error: BaseException) -> SLTError | None:
    """The message that an error of use deserves; None: it is a fault of the program, and its traceback is needed."""
    for one in _chain(error):
        if isinstance(one, SLTError):
            return one
        if isinstance(one, ModuleNotFoundError):
            extra = next((e for name, e in _EXTRAS.items() if name in str(one)), None)
            todo = f"python -m pip install 'slt-zoo[{extra}]'" if extra else f"install {one.name or 'what it names'}"
            return ConfigError("a package that this needs is not installed", found=str(one), todo=todo)
        if isinstance(one, OSError) and one.strerror:
            return ConfigError(f"{one.strerror.lower()}", where=one.filename, todo="check the path and its permissions")
    names = {type(one).__name__ for one in _chain(error)}
    if "is not in bounds" in str(error):  # Lightning's seed
        return ConfigError("seed_everything cannot be used as a seed", found=str(error))
    if "Early stopping conditioned on metric" in str(error):
        return ConfigError(
            "training ended before anything was validated, and early stopping had nothing to look at",
            found=str(error).partition("Pass in")[0].strip(),
            todo="train for an epoch at least (--trainer.max_steps, --trainer.limit_train_batches), validate sooner "
            "(--trainer.val_check_interval), or try with --trainer.fast_dev_run true",
        )
    if names & {"MisconfigurationException", "PathError", "ArgumentError"} or "Does not validate" in str(error):
        return ConfigError(_short(str(error)))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _short(message: str) -> str:
    """Without the values given and the other types that were tried."""
    if "Errors:" in message:
        message = message.rpartition("Errors:")[2]
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    noise = ("Expected a <class 'NoneType'>", "Given value", "Subtypes:", "Does not validate against any")
    kept = [re.sub(r"^\s*- ", "", line) for line in lines if not line.strip().removeprefix("- ").startswith(noise)]
    return "\n".join(kept) or message.strip()


def _arguments_of(path: str) -> list[str]:
    """Names of a class's arguments, those of its bases included."""
    module, _, name = path.rpartition(".")
    cls: Any = getattr(importlib.import_module(module), name)
    return [n for base in inspect.getmro(cls) for n in inspect.signature(base).parameters if base is not object]

"""Files of a pretrained model: of a folder, or by a hub name that was given."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from slt_zoo.errors import ConfigError, first_few

__all__ = ["model_file"]

log = logging.getLogger(__name__)

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def model_file(source: str | Path, *names: str) -> Path:
    """The first of some files that a model has.

    Args:
        source: its folder, or its name on the Hugging Face hub. A folder of that name comes first; a hub name is looked
            up in the local cache and then downloaded, unless ``HF_HUB_OFFLINE`` is set.
        names: of the files, best first.

    Raises:
        ConfigError: none of them is there.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        for name in names:
            if (folder / name).is_file():
                return folder / name
        there = sorted(path.name for path in folder.iterdir())
        raise ConfigError(
            f"the model's folder has no {' or '.join(names)}",
            where=folder,
            found=first_few(there, 8) or "an empty folder",
            todo="give the whole folder of the model, as it was published or as `slt-zoo tokenizer trim` wrote it",
        )
    if not _HUB_NAME.fullmatch(str(source)):
        raise ConfigError(
            "there is no such folder of a model", where=source, todo="give its folder, or a hub name: OWNER/NAME"
        )
    return _from_hub(str(source), names)


def _from_hub(source: str, names: tuple[str, ...]) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    reason: Exception | None = None
    for name in names:
        try:
            log.info("%s of %s: from the hub's cache, or downloaded", name, source)
            return Path(hf_hub_download(source, name))
        except LocalEntryNotFoundError as cause:  # offline: whether the repository has it is not known
            reason = cause
        except EntryNotFoundError as cause:
            reason = cause
        except (OSError, ValueError) as cause:
            reason = cause
            break
    raise ConfigError(
        f"{source} is no folder here, and the hub gives no {' or '.join(names)} of it",
        found=str(reason).split("\n")[0],
        todo="give the folder of a local copy; or go online, and check the name and HF_HUB_OFFLINE",
    ) from reason

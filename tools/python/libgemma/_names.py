"""Names of models: those that the command `gemma pull` fetched."""

from __future__ import annotations

import json
import os
import pathlib
import re

from libgemma._errors import (DataLossError, FailedPreconditionError, InvalidArgumentError,
                              NotFoundError)

# A name is always a plain file name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RECORD = "gemma-pull.json"


def store_directory() -> pathlib.Path:
    """Returns the folder of pulled models: $GEMMA_MODELS, or gemma/models in the user's cache."""
    directory = os.environ.get("GEMMA_MODELS")
    if directory:
        return pathlib.Path(directory)
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "gemma" / "models"


def _pulled_file(name: str) -> pathlib.Path | None:
    """Returns the file or folder of a pulled model, or None."""
    folder = store_directory() / name
    record = folder / _RECORD
    if not record.exists():
        return None
    try:
        fields = json.loads(record.read_text(encoding="utf-8"))
        main_file, complete = fields["main_file"], fields["complete"]
        path = folder / main_file if main_file else folder
    except (ValueError, KeyError, TypeError) as error:
        raise DataLossError(f"{record}: {error} (not a record of gemma pull)") from None
    if not complete:
        raise FailedPreconditionError(
            f"{name}: the download is incomplete; gemma pull {name} fetches the rest")
    return path


def resolve(model: str) -> str:
    """Returns the path that a path or the name of a pulled model means.

    Text that can be no name is returned as it is. NotFoundError, with the cure, for a name that
    was not pulled.
    """
    if not model:
        raise InvalidArgumentError("path is '', wanted a file, a folder or the name of a model")
    if os.path.lexists(model) or not _NAME.fullmatch(model):
        return model
    pulled = _pulled_file(model)
    if pulled is not None:
        return str(pulled)
    raise NotFoundError(f"{model}: No such file or directory, and no pulled model has this name; "
                        f"gemma pull {model} fetches it if gemma list --all shows it")

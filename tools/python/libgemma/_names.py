"""Names of models: those that the command `gemma pull` fetched."""

from __future__ import annotations

import os

from libgemma import _core
from libgemma._errors import InvalidArgumentError


def resolve(model: str) -> str:
    """Returns the path that a path means, or the name or source (OWNER/REPO:TYPE) of a pulled
    model.

    Text that can be no name is returned as it is. NotFoundError, with the command's advice, for a
    name that was not pulled.
    """
    if not model:
        raise InvalidArgumentError("path is '', wanted a file, a folder or the name of a model")
    return os.fsdecode(_core.resolve_model(os.fsencode(model)))

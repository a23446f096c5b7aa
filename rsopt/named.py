"""Objects by name: ``module:attribute``."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

from rsopt.arguments import as_name
from rsopt.errors import InvalidInputError, shown


def load_named(name: str) -> object:
    """The object that ``module:attribute`` names; modules of the working folder are found too.

    Raises:
        InvalidInputError: not of that form, no such module, or no such attribute.
    """
    module_name, colon, attribute = as_name(name).partition(":")
    if not (colon and module_name and attribute):
        raise InvalidInputError(f"{shown(name)} does not name an object. Write module:callable, for example "
                                "mymodels:resnet.")
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that exists but misses one of its own imports is another problem, and keeps its own error.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise InvalidInputError(f"There is no module {module_name!r} (for {name!r}), neither installed nor in the "
                                "working folder.") from error
    finally:
        if added:
            sys.path.remove(here)
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidInputError(f"{module_name!r} has no {part!r} (for {name!r}).{hint}")
        found = getattr(found, part)
    return found

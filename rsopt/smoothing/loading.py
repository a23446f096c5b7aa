"""Models and data named on a command line: ``module:callable``, files of data and of weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from rsopt.arguments import as_name, checked_instance
from rsopt.errors import InvalidInputError, StorageError, shown
from rsopt.named import load_named
from rsopt.smoothing.dataset import Dataset, StreamedDataset
from rsopt.smoothing.datasets import as_dataset, file_dataset

__all__ = ["as_made", "load_data", "load_model", "load_named", "load_weights"]

_HOLDERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Keys under which training programs keep the state dict, the usual ones first."""
_WRAPPERS = ("module", "_orig_mod")
"""What data-parallel and compiled modules put into the names of what they wrap, wherever that is."""
_OUTER = (*_WRAPPERS, "model", "net", "network")
"""Names of the one attribute in which a wrapper keeps the whole model."""




def load_model(name: str, *, weights: Path | None = None, device: torch.device | str | None = None) -> nn.Module:
    """The model that ``module:callable`` makes, or that ``module:model`` is.

    Args:
        name: a callable without required arguments that returns an `nn.Module`, an `nn.Module`, or an exported program.
        weights: file of its weights, see `load_weights`.
        device: where to put it; None leaves it where it is.

    Raises:
        InvalidInputError: no such object, not a model, weights that do not fit, or no such device.
        StorageError: the weights file cannot be read.
    """
    found = load_named(name)
    if not isinstance(found, nn.Module | ExportedProgram) and callable(found):
        found = found()
    if isinstance(found, ExportedProgram):
        found = found.module()
    if not isinstance(found, nn.Module):
        raise InvalidInputError(f"{name!r} gives a {type(found).__name__}, not a torch.nn.Module.")
    if weights is not None:
        load_weights(found, weights)
    if device is None:
        return found
    try:
        return found.to(torch.device(device))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(f"The model cannot be put on the device {shown(device)}: "
                                f"{str(error).splitlines()[0]}") from error


def as_made(name: str) -> str:
    """What there is to say about the weights of a model that was given by name alone."""
    if isinstance(load_named(name), type):
        return (f"Without --weights, {name} has the weights that its class begins with: an untrained model, unless it "
                "loads them itself.")
    return f"Without --weights, {name} is certified with the weights that it comes with, trained or not."


def load_weights(model: nn.Module, path: Path) -> None:
    """Loads a state dict into a model: tensors only (``weights_only=True``), never code.

    A checkpoint that keeps the state dict under one of the usual keys (``state_dict``, ``model``, ``net``, …) is
    understood too, and so are names that a wrapper has made longer (``module.``, ``_orig_mod.``, ``model.``, …), as
    long as they are the model's names otherwise, one for one.

    Raises:
        StorageError: the file cannot be read, or holds more than tensors.
        InvalidInputError: there is no state dict, or it does not fit the model.
    """
    checked_instance(model, nn.Module, "model")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StorageError(f"The weights file {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged file raises whatever the reader of its parts trips over
        raise StorageError(f"The weights file {path} is damaged or holds more than tensors, and only files of "
                           f"tensors are loaded (weights_only=True): {error or type(error).__name__}") from error
    state = _with_names_of(model, _state_dict(loaded, path))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reasons = "; ".join(line.strip() for line in str(error).splitlines())
        raise InvalidInputError(f"The weights in {path} do not fit the model: {reasons}") from error


def _state_dict(loaded: object, path: Path) -> dict[str, torch.Tensor]:
    """The state dict in what a file holds."""
    if not isinstance(loaded, dict):
        raise InvalidInputError(f"The weights file {path} holds a {type(loaded).__name__}, not a state dict.")
    if any(isinstance(value, torch.Tensor) for value in loaded.values()) or not loaded:
        return loaded
    found = {key: value for key, value in loaded.items() if isinstance(value, dict) and value
             and all(isinstance(tensor, torch.Tensor) for tensor in value.values())}
    for key in _HOLDERS:
        if key in found:
            return found[key]
    if len(found) == 1:
        return next(iter(found.values()))
    raise InvalidInputError(f"The weights file {path} holds {', '.join(map(repr, loaded))} and "
                            f"{'several state dicts' if found else 'no state dict'} among them. Save the one that is "
                            "meant: torch.save(model.state_dict(), path).")


def _with_names_of(model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict with the model's own names where these are the same but for wrappers; otherwise as it is."""
    own, given = _unwrapped(model.state_dict()), _unwrapped(state)
    if own.keys() != given.keys() or len(own) != len(model.state_dict()) or len(given) != len(state):
        return state
    return {own[name]: state[given[name]] for name in given}


def _unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Each name by what is left of it without wrappers."""
    short = {".".join(part for part in str(name).split(".") if part not in _WRAPPERS): name for name in names}
    while short and len(outer := {name.partition(".")[0] for name in short}) == 1 and outer <= set(_OUTER):
        short = {name.partition(".")[2]: full for name, full in short.items()}
    return short


def load_data(name: str) -> Dataset | StreamedDataset:
    """Data from a file, from a folder of images, or from ``module:callable``.

    Args:
        name: path of an ``.npz`` or ``.pt`` file with arrays ``images`` and ``labels``, of a folder of images
            (`image_folder`), or an object, or a callable without required arguments that gives one, which `as_dataset`
            takes.

    Raises:
        InvalidInputError: no such object, arrays that are missing or have no meaning.
        StorageError: the file cannot be read.
    """
    if (held := file_dataset(Path(as_name(name)))) is not None:
        return held
    found = load_named(name)
    if callable(found) and not isinstance(found, Dataset | StreamedDataset):
        found = found()
    return as_dataset(found, repr(name))

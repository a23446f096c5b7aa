"""Models and data named on a command line: ``module:callable``, ``.npz`` files and weights files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from rsopt.arguments import as_name, checked_instance
from rsopt.errors import InvalidInputError, RsoptError, StorageError, shown
from rsopt.named import load_named
from rsopt.noise.grid import BYTES, Grid

__all__ = ["Dataset", "as_made", "load_data", "load_model", "load_named", "load_weights"]

_HOLDERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Keys under which training programs keep the state dict, the usual ones first."""
_WRAPPERS = ("module", "_orig_mod")
"""What data-parallel and compiled modules put into the names of what they wrap, wherever that is."""
_OUTER = (*_WRAPPERS, "model", "net", "network")
"""Names of the one attribute in which a wrapper keeps the whole model."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled inputs.

    Attributes:
        images: float32 (n, *shape), finite, in the units of the noise; an array of floating-point numbers becomes one.
            Whole numbers that name something, such as tokens, are int64; int32 becomes that.
        labels: int64 (n,), 0 for the first class; any integers do.

    Raises:
        InvalidInputError: another shape, dtype or number of labels, NaN, or negative labels.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", _tensor(self.images, "images"))
        object.__setattr__(self, "labels", _tensor(self.labels, "labels"))
        if self.images.ndim < 2 or len(self.images) == 0:
            raise InvalidInputError("images must have shape (n, *shape) with n >= 1, found "
                                    f"{tuple(self.images.shape)}.")
        named = self.images.dtype in (torch.int32, torch.int64)
        if not self.images.is_floating_point() and not named:
            raise InvalidInputError(f"images must be floating point, found {self.images.dtype}. Scale them to the "
                                    "units in which sigma is given, for bytes usually images / 255.")
        if self.labels.shape != self.images.shape[:1]:
            columns = self.labels.ndim == 2 and len(self.labels) == len(self.images) and self.labels.shape[1] > 1
            raise InvalidInputError(f"labels must have shape ({len(self.images)},), one per image, "
                                    f"found {tuple(self.labels.shape)}."
                                    + (" Of one-hot labels take argmax(axis=1)." if columns else ""))
        if self.labels.is_floating_point() or self.labels.is_complex() or self.labels.dtype == torch.bool:
            raise InvalidInputError(f"labels must be integers, found {self.labels.dtype}.")
        if int(self.labels.min()) < 0:
            raise InvalidInputError(f"labels must not be negative, found {int(self.labels.min())}.")
        bad = (~torch.isfinite(self.images)).flatten(1).any(dim=1)
        if bool(bad.any()):
            raise InvalidInputError(f"image {int(bad.int().argmax())} holds NaN or infinite values.")
        object.__setattr__(self, "images", self.images.long() if named else self.images.float())
        object.__setattr__(self, "labels", self.labels.long())

    @property
    def bytes(self) -> bool:
        """Whether these are images of bytes, scaled to [0, 1]: two axes or more, and all values multiples of 1/255."""
        if self.images.ndim < 3 or not self.images.is_floating_point():
            return False
        try:
            Grid(BYTES).check(self.images)
        except InvalidInputError:
            return False
        return bool((self.images >= 0.0).all() and (self.images <= 1.0).all())


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


def load_data(name: str) -> Dataset:
    """Data from an ``.npz`` file with the arrays ``images`` and ``labels``, or from ``module:callable``.

    Args:
        name: path of the file, or a callable without required arguments (or a pair) giving (images, labels),
            arrays or tensors.

    Raises:
        InvalidInputError: no such object, arrays that are missing or have no meaning.
        StorageError: the file cannot be read.
    """
    if as_name(name).endswith(".npz"):
        return _from_file(Path(name))
    found = load_named(name)
    if callable(found) and not isinstance(found, Dataset):
        found = found()
    if isinstance(found, Dataset):
        return found
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise InvalidInputError(f"{name!r} gives a {type(found).__name__}, not a pair (images, labels).")
    return Dataset(found[0], found[1])


def _from_file(path: Path) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [key for key in ("images", "labels") if key not in file]:
                raise InvalidInputError(f"{path} has no array {missing[0]!r}; it has "
                                        f"{', '.join(file.files) or 'none'}.")
            return Dataset(file["images"], file["labels"])
    except RsoptError:
        raise
    except OSError as error:
        raise StorageError(f"The data file {path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged archive raises whatever the reader of its parts trips over
        raise StorageError(f"The data file {path} is damaged or holds Python objects: "
                           f"{error or type(error).__name__}.") from error


def _tensor(values: object, name: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(f"{name} must be an array of numbers of one shape: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InvalidInputError(f"{name} must be an array of numbers of one shape, found dtype {array.dtype}.")
    return torch.from_numpy(np.ascontiguousarray(array))

"""Interfaces that scripts call already, with radii that are proven: change the import, and nothing else.

``from core import Smooth`` becomes ``from rsopt.compat import Smooth``, and ``from
art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing`` becomes ``from rsopt.compat import
PyTorchRandomizedSmoothing``. The Adversarial Robustness Toolbox is needed for its own classes only.
"""

from typing import TYPE_CHECKING

from rsopt.compat.smooth import Smooth

if TYPE_CHECKING:
    from rsopt.compat.art import NumpyRandomizedSmoothing, PyTorchRandomizedSmoothing

__all__ = ["NumpyRandomizedSmoothing", "PyTorchRandomizedSmoothing", "Smooth"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from rsopt.compat import art

        return getattr(art, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

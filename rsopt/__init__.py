"""rsopt: proven confidence bounds for randomized smoothing.

The public names stand in ``__init__.pyi``, once. They are loaded when they are first used, so that ``import rsopt``
stays light.
"""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("rsopt")
    return _load(name)

"""rsopt: proven confidence bounds for randomized smoothing.

The public names stand in ``__init__.pyi``, once. They are loaded when they are first used, so that ``import rsopt``
stays light.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

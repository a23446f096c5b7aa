"""Classifiers of other libraries as modules that `SmoothedClassifier` takes; none of the libraries is needed here.

Each adapter is thin: noisy inputs (b, *shape) go in as they are, class scores (b, K) come out, and what belongs to the
classifier (normalisation, defences) happens inside, so that sigma and the radii stay in the units of the input.
"""

from rsopt.smoothing.adapters.art import ArtModel
from rsopt.smoothing.adapters.huggingface import ImageModel, pixels
from rsopt.smoothing.adapters.text import TextModel

__all__ = ["ArtModel", "ImageModel", "TextModel", "pixels"]

"""The torch side: votes and scores of a model under noise, and Lipschitz constants of networks."""

from rsopt.errors import MissingDependencyError

try:
    import torch as _torch  # noqa: F401  (imported here to say in our own words that it is missing)
except ImportError as error:
    raise MissingDependencyError.of("rsopt.smoothing", "torch", "torch") from error

from rsopt.smoothing import adapters as adapters
from rsopt.smoothing.certified import CertifiedInput
from rsopt.smoothing.classifier import SmoothedClassifier
from rsopt.smoothing.dataset import Dataset, StreamedDataset
from rsopt.smoothing.datasets import as_dataset
from rsopt.smoothing.digits import DigitsRecipe, digits_data, digits_model
from rsopt.smoothing.image_folder import image_folder
from rsopt.smoothing.keys import Stream
from rsopt.smoothing.lipschitz import lipschitz_constant
from rsopt.smoothing.loading import load_data, load_model, load_weights
from rsopt.smoothing.provenance import Provenance, fingerprint
from rsopt.smoothing.sampler import ChunkCounts, Sampler, ScoreBlock
from rsopt.smoothing.simplex import (
    Hardmax,
    Identity,
    SimplexMap,
    Softmax,
    Sparsemax,
    simplex_map,
    simplex_map_names,
)

__all__ = [
    "CertifiedInput", "ChunkCounts", "Dataset", "DigitsRecipe", "Hardmax", "Identity", "Provenance", "Sampler",
    "ScoreBlock", "SimplexMap", "SmoothedClassifier", "Softmax", "Sparsemax", "Stream", "StreamedDataset", "as_dataset",
    "digits_data", "digits_model", "fingerprint", "image_folder", "lipschitz_constant", "load_data", "load_model",
    "load_weights", "simplex_map", "simplex_map_names",
]

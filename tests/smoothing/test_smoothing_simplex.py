"""Simplex maps: values against independent implementations, Lipschitz constants against differences and Jacobians."""

import math

import numpy as np
import pytest
import torch

from rsopt.errors import InvalidInputError, UnknownNameError
from rsopt.smoothing import Hardmax, Identity, Softmax, Sparsemax, simplex_map, simplex_map_names

MAPS = [Softmax(), Softmax(0.1), Softmax(7.5), Sparsemax()]


def rows(k: int, scale: float, seed: int) -> torch.Tensor:
    return scale * torch.randn(200, k, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def projection(z: np.ndarray) -> np.ndarray:
    """The point of the simplex nearest to z, by bisection on the threshold of max(z - t, 0)."""
    low, high = z.min() - 1.0, z.max()
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if np.maximum(z - t, 0).sum() > 1 else (low, t)
    return np.maximum(z - (low + high) / 2, 0)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("k", [2, 3, 10, 1000])
def test_sparsemax_is_the_projection_onto_the_simplex(k, scale):
    z = rows(k, scale, k)
    # Bisection ends within an ulp of the threshold, about 1e-16 of the scores.
    assert np.allclose(Sparsemax()(z), [projection(row) for row in z.numpy()], rtol=0, atol=1e-13 * max(scale, 1) * k)


def test_sparsemax_of_known_rows():
    z = torch.tensor([[0.5, 0.5], [2.0, 0.0], [0.2, 0.0], [1e6, 1e6 - 0.5], [0.0, -math.inf]], dtype=torch.float64)
    expected = torch.tensor([[0.5, 0.5], [1, 0], [0.6, 0.4], [0.75, 0.25], [1, 0]], dtype=torch.float64)
    assert torch.allclose(Sparsemax()(z), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("simplex", [*MAPS, Hardmax()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_lie_in_the_simplex(simplex, dtype):
    for k in (2, 10, 1000):
        p = simplex(rows(k, 3.0, 1).to(dtype))
        assert p.dtype == dtype
        assert (p >= 0).all()
        assert torch.allclose(p.sum(dim=1), torch.ones(200, dtype=dtype), rtol=0, atol=k * torch.finfo(dtype).eps)


@pytest.mark.parametrize("simplex", MAPS)
def test_nan_comes_out_as_nan(simplex):
    assert simplex(torch.tensor([[math.nan, 0.0, 1.0]])).isnan().any()


def test_softmax_divides_by_the_temperature():
    z = torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.float64)
    e = np.exp(z.numpy() / 0.5)
    assert np.allclose(Softmax(0.5)(z), e / e.sum(), rtol=1e-14)


def test_hardmax_votes_for_the_first_largest_score():
    z = torch.tensor([[1.0, 3.0, 3.0], [-1.0, -math.inf, -2.0]])
    assert Hardmax()(z).tolist() == [[0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize("simplex", MAPS)
@pytest.mark.parametrize("k", [2, 3, 20])
def test_no_pair_of_rows_moves_further_than_the_constant_allows(simplex, k):
    for seed, (scale, step) in enumerate([(1.0, 1.0), (1.0, 1e-4), (5.0, 0.1), (0.1, 10.0)]):
        a = rows(k, scale, seed)
        b = a + rows(k, step, seed + 10)
        ratio = (simplex(a) - simplex(b)).norm(dim=1) / (a - b).norm(dim=1)
        # Differences of float64 probabilities carry 1e-16; divided by the smallest step, below 1e-10.
        assert ratio.max() <= simplex.lipschitz + 1e-10


@pytest.mark.parametrize("simplex", MAPS)
def test_no_jacobian_exceeds_the_constant(simplex):
    for row in rows(4, 2.0, 3)[:50]:
        jacobian = torch.autograd.functional.jacobian(lambda z: simplex(z[None])[0], row)
        assert torch.linalg.matrix_norm(jacobian, 2) <= simplex.lipschitz * (1 + 1e-12)


def test_the_constant_of_sparsemax_is_attained():
    z = torch.tensor([[0.1, -0.1, 0.0]], dtype=torch.float64)
    moved = z + torch.tensor([[1e-3, -1e-3, 0.0]], dtype=torch.float64)
    assert float((Sparsemax()(moved) - Sparsemax()(z)).norm() / (moved - z).norm()) == pytest.approx(1.0, rel=1e-10)


def test_constants():
    assert Hardmax().lipschitz == math.inf
    assert Sparsemax().lipschitz == 1.0
    assert Identity().lipschitz == 1.0
    assert Softmax(0.25).lipschitz == 4.0


def test_names():
    assert simplex_map_names() == ["hardmax", "identity", "softmax", "sparsemax"]
    assert [simplex_map(name) for name in simplex_map_names()] == [Hardmax(), Identity(), Softmax(), Sparsemax()]
    assert simplex_map("softmax", 0.5) == Softmax(0.5)
    assert simplex_map(Softmax(2.0)) == Softmax(2.0)
    with pytest.raises(UnknownNameError, match=r"There is no simplex map named 'sofmax'\. Did you mean 'softmax'\?"):
        simplex_map("sofmax")
    with pytest.raises(InvalidInputError, match="temperature belongs to the simplex map 'softmax', not to 'sparsemax'"):
        simplex_map("sparsemax", 0.5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_bad_temperatures_are_refused(temperature):
    with pytest.raises(InvalidInputError, match=f"temperature must be positive and finite, got {temperature}"):
        Softmax(temperature)

"""Constants of whole networks: known ones, local norms by automatic differentiation, and honest refusals."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from rsopt.errors import InvalidInputError, RefusedError
from rsopt.radius import smoothing_lipschitz
from rsopt.smoothing import Hardmax, Softmax, Sparsemax, lipschitz_constant


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.register_buffer("shift", torch.ones(1, channels, 1, 1))

    def forward(self, x):
        inner = self.second(functional.relu(self.norm(self.first(x))))
        return torch.relu(x + inner - self.shift)


class Net(nn.Module):
    """A residual network written the way people write them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, stride=2)
        self.blocks = nn.Sequential(Residual(6), Residual(6))
        self.pool = nn.AvgPool2d(2)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(12, 5)
        self.register_buffer("scale", torch.tensor([0.5, 2.0, 1.0]).reshape(3, 1, 1))

    def forward(self, x):
        x = (x - 0.5) / self.scale
        x = functional.leaky_relu(self.stem(x), 0.1)
        x = functional.max_pool2d(self.blocks(x), 2, ceil_mode=False)
        x = self.pool(torch.cat([x, 0.5 * x], dim=1))
        x = self.drop(x.view(x.size(0), -1))
        return self.head(x)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 4), nn.Linear(6, 3)
        self.c = nn.Linear(7, 3)

    def forward(self, x):
        joined = torch.cat((torch.tanh(self.a(x)), torch.sigmoid(self.b(x))), dim=1)
        out = self.c(joined)
        return -2.0 * out + out + out.mean(dim=1, keepdim=True)


def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.GELU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 6, 3), nn.SiLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))


def initialised(make, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    net = make()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return net.eval()


@pytest.mark.parametrize(("make", "shape"), [
    (Net, (3, 8, 8)), (Branches, (6,)), (convolutional, (3, 8, 8)),
    (lambda: nn.Sequential(nn.Linear(6, 20), nn.ELU(), nn.Linear(20, 4)), (6,))])
def test_no_local_norm_exceeds_the_constant(make, shape):
    net = initialised(make).double()
    constant = lipschitz_constant(net, shape)
    generator = torch.Generator().manual_seed(1)
    largest = 0.0
    for scale in (0.1, 1.0, 10.0):
        for _ in range(7):
            x = scale * torch.randn(1, *shape, dtype=torch.float64, generator=generator)
            jacobian = torch.autograd.functional.jacobian(lambda z: net(z)[0], x).reshape(-1, math.prod(shape))
            largest = max(largest, float(torch.linalg.matrix_norm(jacobian, 2)))
    assert largest <= constant
    # Products of norms are loose, but not without limit: a constant like 1e9 would be a mistake.
    assert constant <= 60 * largest


def test_a_linear_network_is_known():
    torch.manual_seed(0)
    layers = [nn.Linear(8, 12), nn.Linear(12, 12), nn.Linear(12, 3)]
    product = math.prod(float(torch.linalg.matrix_norm(layer.weight.detach().double(), 2)) for layer in layers)
    constant = lipschitz_constant(nn.Sequential(*layers), (8,))
    assert product * (1 - 1e-13) <= constant <= product * 1.01


def test_aligned_layers_attain_the_product():
    # Diagonal matrices: the product of the norms is the norm of the product, so nothing but rounding is left.
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.diag(torch.tensor([3.0, 1.0, 1.0, 1.0])))
        net[2].weight.copy_(torch.diag(torch.tensor([5.0, 1.0, 1.0, 1.0])))
    assert 15.0 <= lipschitz_constant(net, (4,)) <= 15.0 * (1 + 1e-9)


def test_paths_multiply_and_sums_add():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice = nn.Linear(2, 2, bias=False)
            with torch.no_grad():
                self.twice.weight.copy_(2.0 * torch.eye(2))

        def forward(self, x):
            y = self.twice(x)
            z = y + x          # 3
            z = z + z          # 6
            z = z - self.twice(y)  # 6 + 4
            return torch.cat([z, x / 4.0, x * -1.5], 1)

    exact = math.sqrt(10.0**2 + 0.25**2 + 1.5**2)
    assert exact * (1 - 1e-12) <= lipschitz_constant(Sum(), (2,)) <= exact * (1 + 1e-3)


def test_broadcasting_counts_repeated_entries():
    class Repeat(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("grid", torch.zeros(1, 5, 2))

        def forward(self, x):
            return (x.unsqueeze(1) + self.grid).flatten(1)

    assert lipschitz_constant(Repeat(), (2,)) == pytest.approx(math.sqrt(5), rel=1e-12)


def test_the_simplex_map_multiplies():
    net = nn.Linear(3, 3)
    base = lipschitz_constant(net, (3,))
    assert lipschitz_constant(net, (3,), simplex=Sparsemax()) == pytest.approx(base, rel=1e-15)
    assert lipschitz_constant(net, (3,), simplex=Softmax(0.25)) == pytest.approx(4 * base, rel=1e-15)
    with pytest.raises(RefusedError) as error:
        lipschitz_constant(net, (3,), simplex=Hardmax())
    assert str(error.value) == ("Hardmax is not Lipschitz: behind it a network's own constant says nothing. "
                                "Use softmax or sparsemax scores, or the constant of Gaussian smoothing.")


class OverwritingShared(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.how = how
        self.linear = nn.Linear(3, 3)
        self.steep = nn.LeakyReLU(5.0, inplace=True)

    def forward(self, x):
        kept = self.linear(x)
        y = kept.view(-1, 3) if "view" in self.how else kept
        if "add" in self.how:
            y += kept
        elif "product" in self.how:
            y *= 7.0
        elif "function" in self.how:
            y = functional.leaky_relu(y, 5.0, True)
        else:
            y = self.steep(y)
        return y + kept


@pytest.mark.parametrize("how", ["add", "product", "function", "layer", "add to a view", "product of a view"])
def test_overwriting_what_is_read_elsewhere_is_refused(how):
    # y += kept makes kept 2 kept where the graph still says kept: the sum would be bounded by 3 instead of 4.
    text = "computes something else when it is traced" if "add" in how or "product" in how else "overwrites a tensor"
    with pytest.raises(RefusedError, match=text):
        lipschitz_constant(OverwritingShared(how), (3,))


def test_overwriting_what_nobody_else_reads_is_followed():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.norm, self.relu = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU(inplace=True)

        def forward(self, x):
            out = self.norm(self.linear(x))
            out += x
            out = self.relu(out)
            out *= 2.0
            return out

    block = Block().eval()
    inner = float(torch.linalg.matrix_norm(block.linear.weight.detach().double(), 2)) / math.sqrt(1 + block.norm.eps)
    assert 2 * (1 + inner) * (1 - 1e-12) <= lipschitz_constant(block, (3,)) <= 2 * (1 + inner) * 1.001


class Attention(nn.Module):
    def forward(self, x):
        return x * x


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Sorting(nn.Module):
    def forward(self, x):
        return torch.sort(x).values


class Unseen(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.LayerNorm(3)))

    def forward(self, x):
        return self.inner(x)


class Masking(nn.Module):
    """Draws a fresh mask in eval mode too."""

    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


class Indexed(nn.Module):
    def forward(self, x):
        return x[:, [0, 0, 0]]


class DividesByZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("std", torch.tensor([0.0, 1.0, 1.0]))

    def forward(self, x):
        return x / self.std


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.row = nn.Parameter(torch.zeros(1, 3))

    def forward(self, x):
        return self.row


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(("net", "text"), [
    (Attention(), "Operation 'mul' (mul) has no proven Lipschitz constant here. Known are sums, concatenation, "
                  "products with constants, means, reshaping, pooling and activations."),
    (Sorting(), "Operation 'sort' (sort) has no proven Lipschitz constant here."),
    (Branching(), "Branching cannot be traced, so its Lipschitz constant is not known: "),
    (Unseen(), "Layer 'inner.1.0' (LayerNorm) has no proven Lipschitz constant here."),
    (Masking(), "Masking is random or computes something else when it is traced, so its Lipschitz constant is not"),
    (Indexed(), "Operation 'getitem' (getitem) has no proven Lipschitz constant here."),
    (DividesByZero(), "Operation 'truediv' (truediv) has no proven Lipschitz constant here."),
    (Constant(), "The network does not return one tensor that depends on its input."),
    (Pair(), "The network does not return one tensor that depends on its input.")])
def test_what_is_not_proven_is_refused_by_name(net, text):
    with pytest.raises(RefusedError) as error:
        lipschitz_constant(net, (3,))
    assert str(error.value).startswith(text)


def test_hooks_are_refused():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    net[0].register_forward_hook(lambda module, arguments, output: 10 * output)
    with pytest.raises(RefusedError, match="Layer '0' has forward hooks, which may do anything"):
        lipschitz_constant(net, (3,))


def test_weights_that_are_not_finite_are_refused():
    net = nn.Linear(3, 3)
    net.weight.data[0, 0] = math.nan
    with pytest.raises(InvalidInputError, match="A weight is NaN"):
        lipschitz_constant(net, (3,))


def test_the_mode_of_the_network_is_put_back():
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).train()
    net[1].eval()
    lipschitz_constant(net, (3,))
    assert [module.training for module in net.modules()] == [True, True, False]


def test_the_constant_of_gaussian_smoothing_is_attained_by_a_half_space():
    # E[hardmax(x + sigma Z)] of two classes split by a hyperplane: (p, 1 - p), p = ndtr(x / sigma).
    # Its derivative at the hyperplane is sqrt(2) phi(0) / sigma = 1 / (sigma sqrt(pi)): the constant is the least one.
    from scipy.special import ndtr

    for sigma in (0.1, 0.25, 2.0):
        x = np.linspace(-3 * sigma, 3 * sigma, 2001)
        rows = np.stack([ndtr(x / sigma), ndtr(-x / sigma)], axis=1)
        slopes = np.linalg.norm(np.diff(rows, axis=0), axis=1) / np.diff(x)
        assert slopes.max() <= smoothing_lipschitz(sigma)
        assert slopes.max() >= smoothing_lipschitz(sigma) * (1 - 1e-5)

"""BoTorch: Bayesian optimisation of the black box on the level curve, zooming in on the best point."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from rsopt.domain import Domain
from rsopt.solver import Budget, Claim, Proposal, Stop
from rsopt.solving.forms import BlackBox, Form

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float64]

# Stands for log 0, where a Gaussian process needs a number.
_WORST = -1e6


@dataclass(frozen=True)
class BoTorch:
    """A Gaussian process on the curve's coordinate, candidates by log expected improvement, in shrinking
    regions.

    The modelled value is -log(1 - log P): log P spans from 0 to -10^5 along one curve, and the process would
    spend its resolution on the hopeless part. Evaluations are cheap here and the method is not; it is offered
    for problems known by their values only, and for comparison.

    Attributes:
        initial: Sobol points before the first model.
        batch: candidates proposed together.
        patience: batches without progress before a region is shrunk or, in the last, the search ends.
        regions: widths of the regions, as shares of the curve, the first being all of it.
        progress: relative gain in P that counts as progress.
        batches: most batches in all.
    """

    initial: int = 8
    batch: int = 2
    patience: int = 2
    regions: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03)
    progress: float = 1e-4
    batches: int = 40
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.FEASIBLE

    def refuses(self, form: Form, domain: Domain) -> str | None:
        """None: it takes every problem."""
        return None

    def propose(self, form: BlackBox, domain: Domain, budget: Budget, *, stop_at: float | None, start: Array | None,
                rng: np.random.Generator) -> Proposal:
        """Model, propose a batch, evaluate, until the last region has stalled."""
        import torch
        from botorch.utils.sampling import draw_sobol_samples, manual_seed

        seed = int(rng.integers(2**31))
        threads = torch.get_num_threads()
        box = torch.tensor([[0.0], [1.0]], dtype=torch.double)
        first = draw_sobol_samples(box, n=self.initial, q=1, seed=seed).reshape(-1).tolist()
        t = np.array([*first, 0.0, 1.0, *([] if start is None else [form.coordinate(start)])])
        values = form.log_tails(t[:, None])
        used = 0
        # Matrices of 30 x 30: with more threads the workers only wait for each other, measured 10 times
        # slower.
        torch.set_num_threads(1)
        try:
            with manual_seed(seed):
                for width in self.regions:
                    idle = 0
                    while idle < self.patience and used < self.batches:
                        best = float(t[values.argmax()])
                        low = max(min(best - 0.5 * width, 1.0 - width), 0.0)
                        fresh = self._candidates(t, values, low, min(low + width, 1.0), seed + used)
                        before = float(values.max())
                        values = np.append(values, form.log_tails(fresh[:, None]))
                        t = np.append(t, fresh)
                        used += 1
                        idle = 0 if float(values.max()) - before > self.progress else idle + 1
        finally:
            torch.set_num_threads(threads)
        best = int(values.argmax())
        stop = Stop.ITERATIONS if used >= self.batches else Stop.CONVERGED
        return Proposal(form.point(t[best: best + 1]), stop, Claim.FEASIBLE, float(values[best]),
                        message=f"{used} batches of {self.batch} in {len(self.regions)} regions")

    def _candidates(self, t: Array, values: Array, low: float, high: float, seed: int) -> Array:
        """The next batch in [low, high], shape (batch,)."""
        import torch
        from botorch.acquisition import qLogExpectedImprovement
        from botorch.exceptions.warnings import BotorchWarning
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler
        from gpytorch.mlls import ExactMarginalLogLikelihood
        from linear_operator.utils.warnings import NumericalWarning

        inside = (t >= low - 0.25 * (high - low)) & (t <= high + 0.25 * (high - low))
        x = torch.tensor((t[inside, None] - low) / (high - low), dtype=torch.double)
        y = torch.tensor(-np.log1p(-np.maximum(np.minimum(values[inside], 0.0), _WORST)), dtype=torch.double)[:, None]
        box: Tensor = torch.tensor([[0.0], [1.0]], dtype=torch.double)
        with warnings.catch_warnings():
            # A noiseless function fitted in double precision makes these fire at nearly every step.
            for category in (BotorchWarning, NumericalWarning, RuntimeWarning):
                warnings.simplefilter("ignore", category)
            model = SingleTaskGP(x, y)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            acquisition = qLogExpectedImprovement(
                model, best_f=float(y.max()), sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed))
            found, _ = optimize_acqf(acquisition, bounds=box, q=self.batch, num_restarts=2, raw_samples=32,
                                     options={"maxiter": 40, "seed": seed})
        shares = found.detach().numpy().ravel()
        return np.asarray(low + (high - low) * np.clip(shares, 0.0, 1.0))

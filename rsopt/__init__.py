"""rsopt: proven confidence bounds for randomized smoothing.

Names are loaded when they are first used, so that ``import rsopt`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsopt import baselines as baselines
    from rsopt.bound import Bound as Bound
    from rsopt.bound import lower_bound as lower_bound
    from rsopt.certificate import Certificate as Certificate
    from rsopt.checks.certificate import check_certificate as check_certificate
    from rsopt.checks.transcript import check_transcript as check_transcript
    from rsopt.counts import Counts as Counts
    from rsopt.domain import Simplex as Simplex
    from rsopt.errors import RsoptError as RsoptError
    from rsopt.functionals import Margin as Margin
    from rsopt.functionals import ProbitMargin as ProbitMargin
    from rsopt.functionals import TaylorProbitMargin as TaylorProbitMargin
    from rsopt.problem import LowerBoundProblem as LowerBoundProblem
    from rsopt.problem import WorstCaseProblem as WorstCaseProblem
    from rsopt.question import Question as Question
    from rsopt.registry import get_solver as get_solver
    from rsopt.registry import solver_names as solver_names
    from rsopt.scores.lower_bound_scores import lower_bound_scores as lower_bound_scores
    from rsopt.scores.score_bound import ScoreBound as ScoreBound
    from rsopt.sequential.adaptive import Precision as Precision
    from rsopt.sequential.adaptive import TargetRadii as TargetRadii
    from rsopt.sequential.adaptive import adaptive_bound as adaptive_bound
    from rsopt.sequential.e_process import DirichletMixture as DirichletMixture
    from rsopt.sequential.e_process import e_process_bound as e_process_bound
    from rsopt.sequential.looks import Looks as Looks
    from rsopt.sequential.planning import plan as plan
    from rsopt.smoothing import adapters as adapters
    from rsopt.solver import Budget as Budget
    from rsopt.statistics import ClopperPearson as ClopperPearson
    from rsopt.statistics import PlugIn as PlugIn
    from rsopt.statistics import Studentized as Studentized
    from rsopt.testing.comparison import compare as compare

_HOME = {
    "Bound": "bound", "Budget": "solver", "Certificate": "certificate", "ClopperPearson": "statistics",
    "Counts": "counts", "DirichletMixture": "sequential.e_process", "Looks": "sequential.looks",
    "LowerBoundProblem": "problem", "Margin": "functionals", "PlugIn": "statistics",
    "Precision": "sequential.adaptive", "ProbitMargin": "functionals", "Question": "question",
    "RsoptError": "errors", "ScoreBound": "scores.score_bound", "Simplex": "domain", "Studentized": "statistics",
    "TargetRadii": "sequential.adaptive", "TaylorProbitMargin": "functionals", "WorstCaseProblem": "problem",
    "adapters": "smoothing.adapters", "adaptive_bound": "sequential.adaptive", "baselines": "baselines",
    "check_certificate": "checks.certificate", "check_transcript": "checks.transcript", "compare": "testing.comparison",
    "e_process_bound": "sequential.e_process", "get_solver": "registry", "lower_bound": "bound",
    "lower_bound_scores": "scores.lower_bound_scores", "plan": "sequential.planning", "solver_names": "registry",
}

_MODULES = ("adapters", "baselines")

__all__ = list(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rsopt' has no attribute {name!r}")
    module = importlib.import_module(f"rsopt.{_HOME[name]}")
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

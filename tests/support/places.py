"""Where things lie in the repository."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
DATA = SUPPORT.parent / "data"
EXAMPLES = ROOT / "examples"

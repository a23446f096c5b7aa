"""What the pages have in common: templates and their style, figures inside of them, numbers at a glance."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from importlib import resources
from statistics import median
from string import Template

from rsopt.runs.overview import Overview


def filled(template: str, title: str, **values: str) -> str:
    """A page: a template of this folder in the frame and with the style that all pages have."""
    folder = resources.files("rsopt.runs.reports")
    body, frame, style = (folder.joinpath(name).read_text(encoding="utf-8")
                          for name in (template, "frame.html", "style.css"))
    return Template(frame).substitute(title=title, style=style, body=Template(body).substitute(title=title, **values))


def svg(picture: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/svg+xml;base64,{b64encode(picture).decode()}"


def interval(low: float, high: float) -> str:
    """A share between two limits, in per cent."""
    return f"{low:.1%} – {high:.1%}"


def tiles(run: Overview) -> str:
    """What a run came to, in six numbers."""
    radii = run.radii()
    what = "certified and right" if run.labelled else "certified"
    numbers = [(f"{run.share(0.0):.1%}", what),
               (f"{sum(radii) / len(run.rows):.4f}", f"mean certified {run.noise.radius_name}"),
               (f"{max(radii, default=0.0):.4f}", f"largest {run.noise.radius_name}"),
               (f"{median(row.n for row in run.rows):,.0f}", "samples per input, median"),
               (f"{run.samples:,}", "samples in all"),
               (f"{sum(row.abstain for row in run.rows):,}", "inputs without a radius")]
    return "".join(f'<div class="card"><b>{value}</b><span>{escape(text)}</span></div>' for value, text in numbers)

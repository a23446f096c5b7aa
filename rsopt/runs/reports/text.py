"""What a report says in words: what is guaranteed, and how to check it. Every function returns HTML."""

from __future__ import annotations

from html import escape
from shlex import quote
from typing import Any

from rsopt.data_set.confidence import CONFIDENCE
from rsopt.methods import MELDED, OWN, SOFT_METHODS
from rsopt.noise.options import options_of
from rsopt.runs.decisions import spent
from rsopt.runs.overview import Overview
from rsopt.runs.task import VARIATION

_QUANTITIES = {
    "margin": "the vote share of the certified class minus that of its strongest rival",
    "probit": "Φ⁻¹(share of the certified class) − Φ⁻¹(share of its strongest rival)",
    "laplace": "Q(share of the certified class) − Q(share of its strongest rival), Q the quantiles of Laplace noise",
    "logit": "Q(share of the certified class) − Q(share of its strongest rival), Q the quantiles of logistic noise",
    "taylor-probit": "a Taylor polynomial of Φ⁻¹ at the share of the certified class minus the same at its strongest "
                     "rival, which where it is positive does not exceed the difference for Φ⁻¹ itself"}


def lead(run: Overview) -> str:
    """What was certified, in two sentences."""
    chosen = ("the certified class is the known label" if run.facts.get("n0") is None else
              f"the certified class was chosen on {run.facts['n0']:,} separate samples")
    what = f"{run.title}: " if run.title else ""
    return escape(f"{what}{len(run.rows):,} inputs under {run.noise.title}; {chosen}. Every radius of "
                  f"rsopt is proven, and false with probability at most alpha = {run.alpha:g}.")


def warnings(run: Overview) -> str:
    """What a reader must know first: a run that is not finished, inputs that failed."""
    told = []
    asked = run.facts.get("inputs", len(run.rows))
    if len(run.rows) < asked:
        told.append(f"This run is not finished: {len(run.rows):,} of {asked:,} inputs are in this report. The command "
                    "that began it goes on where it stopped. Until then nothing holds of all these inputs together or "
                    "of new ones, whatever stands below: which inputs finish first may depend on their votes.")
    failed = sum(bool(row.error) for row in run.rows)
    if failed:
        told.append(f"{failed:,} inputs failed. They count as not certified; the reasons are listed below.")
    if not run.labelled:
        told.append("No labels are known: shares below are of certified inputs, right or wrong.")
    return "".join(f'<p class="warning">{escape(text)}</p>' for text in told)


def accuracy_note(run: Overview) -> str:
    """What the lines of the first figure are."""
    certified = "certified as their label" if run.labelled else "certified"
    return escape(
        f"At a radius r: the share of all {len(run.rows):,} inputs that are {certified} with at least that radius. "
        "Solid blue: rsopt. The two dotted lines below it are what is true of the smoothed classifier itself, at all "
        f"radii at once, with {CONFIDENCE:.0%} confidence: on these very inputs, and on new ones of which these are a "
        "random sample. Between the edges of the shaded band lies, as surely, the share of new inputs that would be "
        "certified with these samples and this alpha. The other methods bound the same votes "
        f"{'at the same looks and errors' if run.adaptive else 'at the same alpha'}.")


def probability_note(run: Overview) -> str:
    """What the band for the distribution of p_A is, with its size."""
    band = run.probability_band()
    which = "the label" if run.facts.get("n0") is None else "the class that was chosen"
    return (f"The distribution function of the probability with which the model answers {which} under the noise, known "
            "from votes only: it runs inside of the dark band for these inputs and of the light one for new inputs, "
            f"everywhere at once, each with {CONFIDENCE:.0%} confidence. Every input has limits of its own, each false "
            f"with probability at most {band.row_error:.2g}; with that confidence at most {band.false_limits:,} are "
            "false on either side. It shows hard and easy inputs without sigma and without the quantiles of the noise "
            "in between.")


def new_inputs_note() -> str:
    """Which limits on the share of new inputs hold together."""
    return (f"With {CONFIDENCE:.0%} confidence each. The third and the fourth column hold at all radii at once; the "
            "last one at a radius that was fixed before the run, by itself (Clopper–Pearson).")


def mean_radius_note(run: Overview) -> str:
    """What the mean radius is good for, with what holds of it."""
    found = run.certified_accuracy()
    kept = "is right" if run.labelled else "keeps its class"
    return (f"<b>Mean {escape(run.noise.radius_name)} {found.mean_radius:.4f}</b>, inputs that are not certified "
            f"counting 0. With {CONFIDENCE:.0%} confidence the radius within which the smoothed classifier {kept} is "
            f"at least {found.mean_on_these_inputs:.4f} in the mean over these inputs; as surely it is at least "
            f"{found.mean_on_new_inputs:.4f} over new ones; and as surely the mean of what would be certified on new "
            f"ones, radii cut at the largest here, lies between {found.mean_low:.4f} and {found.mean_high:.4f}. Its "
            "weakness: it is moved most by the easiest inputs, whose radius grows with the number of samples and the "
            "noise for ever, and two models of equal mean may differ at every radius that matters. Compare them at a "
            "radius, or by the band below.")


def radii_note(run: Overview) -> str:
    """What the histogram counts."""
    counted = "those certified as their label" if run.labelled else "those that are certified"
    return f"Inputs by certified radius, {counted}; in brackets how many they are."


def samples_note(run: Overview) -> str:
    """What the points of the figure on samples are."""
    crosses = " Crosses are inputs that took samples and got no radius." if any(row.abstain for row in run.rows) else ""
    return ("Each blue point is an input: the samples it took and the radius they prove. The other colours are what "
            f"each baseline would need for the same radius at the same vote shares.{crosses}")


def saved_note(run: Overview) -> str:
    """What stopping early saved; empty where every input took the same number of samples."""
    if not run.adaptive:
        return ""
    found = spent(run.rows)
    most = run.facts["stopping"]["n"]
    beside = f", beside {found.selection:,} that chose the classes" if found.selection else ""
    return (f"<p><b>{found.spent:,} samples instead of {found.fixed:,}</b>{beside}: {found.factor:.1f} times fewer "
            f"than n = {most:,} for every input; {found.early:,} of {found.inputs:,} inputs stopped early. Sampling "
            "stopped as soon as our bound had decided the question, so larger radii are what the votes until then "
            "happen to prove; the other methods would have gone on.</p>")


def hardest_note(pictured: bool) -> str:
    """In which order the hardest inputs stand, and what is shown of each."""
    shown = "Left the input, right a noisy copy of it; the" if pictured else (
        "No pictures were kept: the inputs are none, or the run is not finished. The")
    return ("Those on which the smoothed classifier is furthest from being certified right, worst first: by the lower "
            f"bound, or its negative where another class than the label was certified. {shown} "
            "bar shows votes for the certified class, for its strongest rival, and for all others.")


def guarantees(run: Overview) -> str:
    """The statements that hold, each with its probability, and what is not claimed."""
    sure = run.certified_accuracy()
    label_mode = run.facts.get("n0") is None
    items = [
        f"<b>Every radius.</b> With probability at least {1.0 - run.alpha:.6g} over the noise that was drawn, no "
        f"{escape(run.noise.within)} makes the smoothed classifier leave the certified class. The smoothed classifier "
        f"answers the class that the model answers most often when {escape(run.noise.action)}; a radius says nothing "
        "about the model without noise.",
        "<b>The class.</b> " + (
            "The class is the known label, fixed before any sample was drawn. Where the radius is 0, the label was not "
            "certified; that does not say which class is." if label_mode else
            f"The class was chosen on {run.facts['n0']:,} samples of their own, never on those that bound it."),
        f"<b>The bound.</b> What is bounded from below is {_quantity(run)}. The bound inverts an exact test of the "
        "whole multinomial: no normal approximation, no correction for the number of classes. A solver proposes it; a "
        "branch and bound over all distributions of votes proves it, with every rounding to the safe side.",
        f"<b>All rows together.</b> Rows have noise of their own. Among these {len(run.rows):,}, with "
        f"{CONFIDENCE:.0%} confidence at most {sure.false_rows:,} "
        f"{'is' if sure.false_rows == 1 else 'are'} false, so the curve of certified accuracy lies above the truth on "
        f"these inputs by at most {sure.off_these_inputs:.2%}, at all radii at once.",
        "<b>New inputs.</b> If these inputs are a random sample of those that matter, then with "
        f"{CONFIDENCE:.0%} confidence the share of new inputs on which the smoothed classifier "
        f"{'is right and robust' if run.labelled else 'keeps its class'} is at least the curve minus "
        f"{sure.off_new_inputs:.2%}, at all radii at once (the exact law of Smirnov's statistic, and alpha). As surely "
        f"the share of them that would be certified lies within {sure.off_certified:.2%} of the curve. Inputs picked "
        "by hand carry no such statement."]
    if run.adaptive:
        items.append("<b>Looking more than once.</b> The number of samples depends on what the earlier ones showed. "
                     "Every look has an error of its own, the errors add up to at most alpha, and the best look is "
                     "reported: it is wrong only if one of them is.")
    if MELDED in run.methods:
        items.append("<b>Conjectured.</b> No statement here is about the melded limit.")
    if any(method in run.methods for method in SOFT_METHODS):
        items.append("<b>Soft rows.</b> They certify another classifier, the one that answers the largest mean score.")
    items.append(_of_the_draws(run))
    items.append("<b>Not claimed.</b> Every method stands for itself at alpha; taking the largest of several "
                 "afterwards is not proven. The noise is that of a pseudo-random generator, taken to be random.")
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _of_the_draws(run: Overview) -> str:
    """What is said of the noise as it was drawn."""
    taken = run.facts.get(VARIATION, 0.0)
    if taken == 0.0:
        return ("<b>The draws.</b> The input that is certified is the one rounded to float32. Where noise is added to "
                "it in float32, the sum is rounded, which the theorem behind the radius does not cover (Voráček &amp; "
                "Hein 2023); noise on a grid has no such gap.")
    return (f"<b>The draws.</b> Inputs and noise are whole steps, {escape(run.noise.setting)}, so that no rounding "
            "comes between the classifier as it runs and the theorem. All draws for an input together are at most "
            f"{taken:.3g} in total variation from the stated law; this is part of alpha, and bounds are made at what "
            "is left of it.")


def checks(run: Overview) -> str:
    """The commands that check the run again."""
    proven = ("Every row has a saved proof" if run.proofs.get(OWN, 0) == len(run.rows) else
              f"{run.proofs.get(OWN, 0):,} of these rows have a saved proof; the others are closed forms or failed")
    name = quote(str(run.place))
    commands = [(f"rsopt verify {name}", "double precision, rounded to the safe side"),
                (f"rsopt verify {name} --arithmetic arb", "ball arithmetic: nothing rests on rounding"),
                (f"rsopt bound COUNT... --top CLASS --alpha {'LOOK_ALPHA' if run.adaptive else _alpha_of_bounds(run)} "
                 f"{options_of(run.noise)}", "one row, again"),
                (f"rsopt export {name} table.parquet --format parquet", "the whole table")]
    width = max(len(command) for command, _ in commands)
    lines = "\n".join(f"{command:<{width}}   # {what}" for command, what in commands)
    return (
        f"<p>{proven}. A checker that shares no code with the search verifies proofs from the files alone.</p>"
        f"<pre><code>{escape(lines)}</code></pre>"
        "<p>Samples can be drawn again, bit for bit: the same command with another output folder gives the same counts "
        "under the conditions below, on one machine or on many. <code>rsopt compare-runs A B</code> shows whether two "
        "runs agree.</p>")


def _alpha_of_bounds(run: Overview) -> str:
    """The error at which the one look of every input was bounded, as it must be said again."""
    return next((f"{row.reported.alpha!r}" for row in run.rows if row.reported is not None), f"{run.alpha:g}")


def facts(run: Overview) -> str:
    """Everything that decides the results, as rows of a table."""
    return "".join(f"<tr><td>{escape(name)}</td><td>{escape(_plain(value))}</td></tr>"
                   for name, value in sorted(run.facts.items()))


def sessions(run: Overview) -> str:
    """The processes that worked on the run, as rows of a table."""
    head = "<tr><th>session</th><th>began</th><th>host</th><th>process</th></tr>"
    return head + "".join(f"<tr><td>{found.session}</td><td>{escape(found.started)}</td><td>{escape(found.host)}</td>"
                          f"<td>{found.pid}</td></tr>" for found in run.sessions)


def _quantity(run: Overview) -> str:
    functional, order = run.question.functional, run.facts.get("order")
    text = f"{_QUANTITIES.get(functional.name, functional.name)}; the radius is {run.noise.rule(functional)}"
    return escape(text if order is None else f"{text} (order {order})")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

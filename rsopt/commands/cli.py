"""The command line. Commands are a table of strings: only the one that was asked for is imported."""

from __future__ import annotations

import functools
import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated, Any

from rsopt.commands.terminal import prepare, warn
from rsopt.errors import MissingDependencyError, RsoptError

try:
    import typer
except ImportError as error:
    raise MissingDependencyError.of("The command line", "typer", "cli") from error

# name: module:function, in the order of the help text
COMMANDS = {
    "certify": "rsopt.commands.certify:certify",
    "bound": "rsopt.commands.bound:bound",
    "plan": "rsopt.commands.plan:plan",
    "verify": "rsopt.commands.verify:verify",
    "recertify": "rsopt.commands.recertify:recertify",
    "export": "rsopt.commands.export:export",
    "report": "rsopt.commands.report:report",
    "card": "rsopt.commands.card:card",
    "board": "rsopt.commands.board:board",
    "compare-runs": "rsopt.commands.compare_runs:compare_runs",
    "solvers": "rsopt.commands.solvers:solvers",
    "compare": "rsopt.commands.compare:compare",
    "zoo": "rsopt.commands.zoo:zoo",
    "intervals": "rsopt.commands.intervals:intervals",
}


def application(arguments: Sequence[str]) -> typer.Typer:
    """The application with the command that `arguments` name, or with all of them for the help text."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
                      help="Proven confidence bounds for randomized smoothing.")
    # Without a callback typer would drop the name of a command that is alone.
    app.callback()(_before_any_command)
    asked = [name for name in arguments[:1] if name in COMMANDS]
    for name in asked or COMMANDS:
        path, _, function = COMMANDS[name].partition(":")
        module = importlib.import_module(path)
        app.command(name, context_settings=getattr(module, "CONTEXT", None))(
            told_in_one_line(getattr(module, function)))
    return app


def told_in_one_line(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose errors of ours become one line on stderr and exit status 2."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except RsoptError as error:
            warn(f"rsopt: {' '.join(str(error).split())}")
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            warn("rsopt: interrupted.")
            raise typer.Exit(130) from None

    return wrapped


def main() -> None:
    """Entry point of the command ``rsopt``."""
    # Loading libraries makes many objects and no garbage, and at Python's own thresholds a short command spends much of
    # its time on looking for some.
    gc.set_threshold(100_000, 20, 50)
    prepare()
    application(sys.argv[1:])()


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"rsopt {metadata.version('rsopt')}")
        raise typer.Exit


def _before_any_command(version: Annotated[bool, typer.Option(
        "--version", help="Print the version and end.", callback=_tell_version, is_eager=True)] = False) -> None:
    """Proven confidence bounds for randomized smoothing."""

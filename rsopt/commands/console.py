"""The console that commands print on."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from rsopt.commands.terminal import written


class PlainConsole(Console):
    """A console that prints texts as they are: what a name holds is no markup, and tables are laid out for the
    characters that the terminal has.

    Args:
        stderr: whether it prints on stderr.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as text of the console; arguments as in `rich.console.Console`."""
        return super().render_str(written(text, self.encoding), **options)

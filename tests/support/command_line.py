"""Running the command line in this process, and a module of models for it."""

from __future__ import annotations

import sys

from typer.testing import CliRunner, Result

from rsopt.commands.cli import application

RSOPT = (sys.executable, "-c", "from rsopt.commands.cli import main; main()")


def run(*arguments: object) -> Result:
    texts = [str(argument) for argument in arguments]
    return CliRunner().invoke(application(texts), texts)


def refused(*arguments: object) -> str:
    """The one line on stderr of a command that must end with status 2 and nothing on stdout but a heading."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("rsopt: ")
    return line.removeprefix("rsopt: ")


MODULE = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))

def fixed():
    torch.manual_seed(0)
    return build()

def flat():
    return nn.Flatten()

def data():
    return torch.eye(4).reshape(4, 2, 2), torch.tensor([0, 1, 2, 2])
"""

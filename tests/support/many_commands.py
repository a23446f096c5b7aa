"""Runs commands one after the other as the program does, and says on stderr how each ended: status and traceback."""

import json
import os
import sys
import traceback

from rsopt.commands.cli import main


def run_all(commands: list[list[str]]) -> None:
    for arguments in commands:
        # As the shell hands over what was typed in UTF-8, whatever the locale takes it for.
        sys.argv = ["rsopt", *(os.fsdecode(argument.encode()) for argument in arguments)]
        status: object = "returned"
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        except BaseException:
            status = traceback.format_exc()
        print(json.dumps([arguments[0], status]), file=sys.__stderr__)


if __name__ == "__main__":
    run_all(json.loads(sys.argv[1]))

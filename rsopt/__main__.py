"""``python -m rsopt``: the command line without its script on the path."""

from rsopt.commands.cli import main

if __name__ == "__main__":
    main()

"""Solver backends, one file each. Nothing here is imported until a solver is asked for by name."""

if __name__ != "rsopt.solvers":
    raise ImportError("The folder solvers/ is the package rsopt.solvers: import it by that name, "
                      "with rsopt installed (pip install -e .).")

"""IPOPT as an executable that speaks AMPL's protocol: ``ipopt model.nl -AMPL option=value …`` writes model.sol."""

import sys

import casadi


def main() -> None:
    if "-v" in sys.argv[1:] or "--version" in sys.argv[1:]:
        print("Ipopt 3.14.0 (stand-in)")
        return
    stem = sys.argv[1].removesuffix(".nl")
    options = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
    numbers = {"max_iter": int, "tol": float, "bound_relax_factor": float, "mu_init": float, "bound_push": float,
               "bound_frac": float, "max_cpu_time": float}
    nlp = casadi.NlpBuilder()
    nlp.import_nl(stem + ".nl", {})
    solver = casadi.nlpsol("s", "ipopt", nlp, {
        "expand": True, "print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes", "error_on_fail": False,
        **{f"ipopt.{name}": numbers[name](text) for name, text in options.items() if name in numbers}})
    found = solver(x0=nlp.x_init, lbx=nlp.x_lb, ubx=nlp.x_ub, lbg=nlp.g_lb, ubg=nlp.g_ub)
    x, duals = found["x"].full().ravel(), found["lam_g"].full().ravel()
    solved = solver.stats()["return_status"] == "Solve_Succeeded"
    lines = ["Ipopt 3.14.0: " + ("Optimal Solution Found" if solved else "Failed"), "", "Options", "3", "1", "1", "0",
             str(len(duals)), str(len(duals)), str(len(x)), str(len(x)), *map(repr, duals.tolist()),
             *map(repr, x.tolist()), f"objno 0 {0 if solved else 500}"]
    with open(stem + ".sol", "w") as stream:
        stream.write("\n".join(lines) + "\n")


main()

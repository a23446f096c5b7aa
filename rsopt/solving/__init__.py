"""What posed problems and solvers share: curves, term lists, starting points, meters and guards."""

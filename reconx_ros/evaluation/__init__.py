"""How good a map is: held-out views, metrics, baselines."""

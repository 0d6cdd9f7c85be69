"""Measures the rows of the project's goals, Plugward beside its peers in one run. `make bench` runs it."""

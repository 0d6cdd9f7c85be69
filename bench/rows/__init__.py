"""One module a row; each has `run(effort) -> Row`."""

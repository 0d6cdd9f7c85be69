"""Plugins with the faults that a host meets."""

import sys
import time


class _Base:
    version = "0.1.0"
    description = ""

    def run_tool(self, tool, args):
        return self.tools[tool]["handler"](**args)


class Raises(_Base):
    """Raises at its first call."""

    name = "raises"

    def __init__(self):
        self.tools = {"run": {"handler": self.run, "description": "", "input_schema": {}, "output_schema": {}}}

    def run(self, **_):
        raise RuntimeError("weights are the wrong shape")


class Exits(Raises):
    """Ends the process, or tries to, when it is called."""

    name = "exits"

    def run(self, **_):
        sys.exit(3)


class ExitsInConstructor(_Base):
    """Ends the process, or tries to, when it is constructed."""

    name = "exits_at_once"

    def __init__(self):
        sys.exit("no licence found")


class Refuses(Raises):
    """Says that it is not fit."""

    name = "refuses"

    def validate(self):
        return False


class Hangs(_Base):
    """Does not come back; its author knows that it may take too long and says so."""

    name = "hangs"

    def __init__(self):
        self.tools = {"run": {"handler": lambda **_: time.sleep(3600), "deadline_ms": 1000}}

"""Arrays in a worker's memory that a host fills in place; where there are no worker processes, there are none."""

from plugward._native import Lease

__all__ = ["Lease"]

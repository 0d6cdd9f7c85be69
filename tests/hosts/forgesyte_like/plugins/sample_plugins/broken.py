"""Cannot be imported: the package that it needs is not installed."""

import a_package_that_nobody_has  # noqa: F401


class Plugin:
    """Never defined."""

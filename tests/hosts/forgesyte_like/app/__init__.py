"""A server of the first host's shape: what was `app.plugins` is Plugward, by one line."""

import plugward.forgesyte

plugward.forgesyte.alias("app.plugins")

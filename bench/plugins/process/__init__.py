"""The plugin of the rows on worker processes."""

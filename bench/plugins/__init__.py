"""Plugins that the rows call."""

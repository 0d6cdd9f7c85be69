"""The host's own plugin package; its modules are stood in for."""

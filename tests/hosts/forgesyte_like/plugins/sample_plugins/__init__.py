"""Plugins as their authors publish them: classes behind the entry-point group `forgesyte.plugins`."""

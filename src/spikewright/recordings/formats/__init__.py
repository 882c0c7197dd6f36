"""Formats of recordings: one a file, called after it."""

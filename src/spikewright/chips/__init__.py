"""Chips: their limits with sources, whether a network fits, which core computes what, and how much there is to do."""

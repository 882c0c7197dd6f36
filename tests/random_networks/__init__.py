"""Whole networks drawn at random, odd operators among them, and what must hold for each of them."""

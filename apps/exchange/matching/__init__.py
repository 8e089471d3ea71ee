"""Matching: one function brings all orders of a market that have arrived to where they belong.

Whoever places an order commits it and calls `match`; while one caller holds the market's lock the
orders of the others gather, and form its next batch.
"""

from apps.exchange.matching.matching import match, sweep

__all__ = ["match", "sweep"]

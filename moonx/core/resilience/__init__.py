"""Calls to servers of others: circuits, budgets and backoff that all workers share.

with guarded(Target(provider="lifi", kind=CallClass.QUOTE), timeout_s=5):
    ...  # one call, which raises CallFailed where it brings nothing
"""

from moonx.core.resilience.backoff import Backoff
from moonx.core.resilience.circuit import CallClass, CircuitState, Standing, Target, Trip, spared
from moonx.core.resilience.circuits import standings
from moonx.core.resilience.guarding import guarded, retrying, sparing, state_of

__all__ = [
    "Backoff",
    "CallClass",
    "CircuitState",
    "Standing",
    "Target",
    "Trip",
    "guarded",
    "retrying",
    "spared",
    "sparing",
    "standings",
    "state_of",
]

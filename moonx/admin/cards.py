"""The cards of the admin's first page: a question, its answer, and the rows behind it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Card:
    """One question that an operator asks first; `link` leads to the rows behind the answer."""

    title: str
    figure: str
    sentence: str
    link: str
    is_fine: bool


def named(names: Iterable[Any]) -> str:
    """The first few names, and how many more there are; "" for none."""
    every = [str(name) for name in names]
    left_out = len(every) - MOST_NAMED
    return ", ".join(every[:MOST_NAMED]) + (f" and {left_out} more" if left_out > 0 else "")


def listed(model: str, query: str = "") -> str:
    """The address of a model's list in the admin, filtered by the query string."""
    address = reverse(f"admin:{model}_changelist")
    return f"{address}?{query}" if query else address

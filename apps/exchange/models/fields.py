"""Columns that hold money."""

from decimal import Decimal
from typing import Any

from django.db import models

from moonx.core import money


def amount(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    """A price, quantity or amount: NUMERIC(78, 18), exact."""
    return models.DecimalField(max_digits=money.MAX_DIGITS, decimal_places=money.SCALE, **options)


def optional_amount() -> "models.DecimalField[Decimal | None, Decimal | None]":
    """As `amount`, null where there is none."""
    return models.DecimalField(
        max_digits=money.MAX_DIGITS, decimal_places=money.SCALE, null=True, blank=True
    )


def fee_bps(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    """A fee in basis points, to a hundredth of one."""
    return models.DecimalField(max_digits=6, decimal_places=2, **options)

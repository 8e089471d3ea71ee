"""Assets and the markets that trade them."""

from decimal import Decimal
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from apps.exchange.models.fields import amount
from apps.exchange.vocabulary import MarketStatus, choices
from moonx.core import money

LARGEST = Decimal(9_000_000_000)
SYMBOL = RegexValidator(r"^[A-Z0-9]{1,20}$", "Use 1 to 20 capital letters and digits.")


class Asset(models.Model):
    """Something that is traded or paid with; `decimals` is the finest part of it."""

    symbol = models.TextField(unique=True, validators=[SYMBOL])
    name = models.TextField()
    decimals = models.PositiveSmallIntegerField(default=8)

    class Meta:
        ordering: ClassVar[list[str]] = ["symbol"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(decimals__lte=money.SCALE), name="asset_decimals_fit_the_ledger"
            )
        ]

    def __str__(self) -> str:
        return self.symbol


class Market(models.Model):
    """A pair: the price of one `base` in `quote`."""

    symbol = models.TextField(unique=True, validators=[SYMBOL])
    base = models.ForeignKey(Asset, models.PROTECT, related_name="+")
    quote = models.ForeignKey(Asset, models.PROTECT, related_name="+")
    status = models.TextField(choices=choices(MarketStatus), default=MarketStatus.TRADING)
    tick_size = amount()
    step_size = amount()
    min_notional = amount(default=0)
    max_quantity = amount(default=LARGEST, help_text="The largest quantity of an order.")
    max_market_quantity = amount(
        default=LARGEST, help_text="The largest quantity of an order that takes any price."
    )
    price_up = amount(default=5, help_text="An order's price is at most so many times the last.")
    price_down = amount(
        default=Decimal("0.2"), help_text="An order's price is at least so many times the last."
    )
    collar_bps = models.PositiveIntegerField(
        default=500,
        validators=[MinValueValidator(1), MaxValueValidator(9_999)],
        help_text="A market order pays at most so many hundredths of a percent more than the best "
        "price when it came.",
    )
    max_open_orders = models.PositiveIntegerField(
        default=200, help_text="Open orders of one user in this market."
    )
    label = models.TextField(blank=True, help_text="Shown beside the symbol, e.g. “recorded”.")
    recorded_until = models.DateTimeField(
        null=True, blank=True, help_text="End of the record; the ticker stands at this moment."
    )
    halted_at = models.DateTimeField(null=True, blank=True)
    halt_reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["symbol"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(tick_size__gt=0, step_size__gt=0, min_notional__gte=0),
                name="market_increments_are_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(max_quantity__gt=0, max_market_quantity__gt=0, price_up__gte=1)
                & models.Q(price_down__gt=0, price_down__lte=1, collar_bps__range=(1, 9_999)),
                name="market_limits_make_sense",
            ),
            models.CheckConstraint(
                condition=~models.Q(base=models.F("quote")), name="market_has_two_assets"
            ),
        ]

    def __str__(self) -> str:
        return self.symbol

    def clean(self) -> None:
        """Refuses increments whose product the quote asset cannot hold exactly."""
        if not (self.base_id and self.quote_id and self.tick_size and self.step_size):
            return  # said at the field itself
        needed = money.decimals(self.tick_size) + money.decimals(self.step_size)
        if needed > self.quote.decimals:
            raise ValidationError(
                f"Price × quantity needs {needed} decimals, {self.quote.symbol} has "
                f"{self.quote.decimals}: use a larger tick or step."
            )
        if money.decimals(self.step_size) > self.base.decimals:
            raise ValidationError(
                {"step_size": f"{self.base.symbol} has only {self.base.decimals} decimals."}
            )
        self._refuse_coarser_increments()

    def _refuse_coarser_increments(self) -> None:
        """Prices and quantities that stand must stay on the grid."""
        stored = Market.objects.filter(pk=self.pk).first()
        if stored is None or not (stored.trades.exists() or stored.orders.exists()):
            return
        faults = {
            name: f"What stands is on {money.plain(getattr(stored, name))}: only finer steps fit."
            for name in ("tick_size", "step_size")
            if not money.on_grid(getattr(stored, name), step=getattr(self, name))
        }
        if faults:
            raise ValidationError(faults)

    @property
    def price_places(self) -> int:
        """Decimals of a price."""
        return money.decimals(self.tick_size)

    @property
    def quantity_places(self) -> int:
        """Decimals of a quantity."""
        return money.decimals(self.step_size)

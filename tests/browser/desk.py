"""The page of somebody who trades."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.screen import Screen
from tests.browser.site import PASSWORD, Stall


class Desk:
    """A signed-in reader's page at one market: fills the form, reads book and balances."""

    def __init__(self, screen: Screen, stall: Stall) -> None:
        self.screen = screen
        self.stall = stall
        self.base = stall.market.base.symbol

    @classmethod
    def taken(cls, screen: Screen, stall: Stall) -> "Desk":
        """Opens the market as a new trader with money."""
        name = f"trader-{stall.symbol}"
        stall.trader(name)
        screen.open(stall)
        desk = cls(screen, stall)
        desk.sign_in(name)
        return desk

    @property
    def page(self) -> Page:
        return self.screen.page

    def sign_in(self, name: str) -> None:
        """Returns when the reader's own balances have come."""
        self.page.locator("#signin-open").click()
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.locator("#signin-button").click()
        expect(self.page.locator("#free")).not_to_have_text("–", timeout=30_000)
        expect(self.page.locator("#cost-rates")).not_to_be_empty()

    # The form

    def field(self, name: str) -> Locator:
        return self.page.locator(f"#ticket-form [name={name}]")

    def fill(self, **fields: str) -> None:
        """Types into fields by name."""
        for name, value in fields.items():
            self.field(name).fill(value)

    def choose(self, name: str, value: str) -> None:
        self.field(name).select_option(value)

    def side(self, side: str) -> None:
        self.page.locator(f"#ticket-form [name=side][value={side}]").check(force=True)

    def submit(self) -> None:
        self.page.locator("#ticket-button").click()

    def expect_costs(self, *, hold: str, fee: str) -> None:
        """What the form says before the button."""
        expect(self.page.locator("#cost-hold")).to_have_text(hold)
        expect(self.page.locator("#cost-fee")).to_have_text(fee)

    def expect_said(self, words: str) -> None:
        """What the form says after it."""
        expect(self.page.locator("#ticket-said")).to_contain_text(words)

    # What is shown

    def expect_level(self, side: str, price: str, quantity: str) -> None:
        """The book has that much at that price."""
        row = self.page.locator(f"#{side} tr[data-price='{price}']")
        expect(row.locator("td").nth(1)).to_have_text(quantity)

    def tab(self, part: str) -> None:
        self.page.locator(f"#mine-tab-{part}").click()

    def rows(self, part: str) -> Locator:
        """The rows of a tab, which this brings to the front."""
        self.tab(part)
        return self.page.locator(f"#mine-{part} tbody tr")

    def expect_balance(self, asset: str, *, free: str, held: str, total: str) -> None:
        """What the reader has of an asset."""
        self.tab("balances")
        row = self.page.locator(f"#mine-balances tr[data-key='{asset}']")
        expect(row.locator("td")).to_have_text([asset, free, held, total])

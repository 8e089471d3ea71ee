"""The page as a reader sees it."""

from contextlib import suppress

from playwright.sync_api import Page, expect

from tests.browser.site import Stall

PATIENCE_MS = 20_000  # a busy machine may be slow, never wrong


class Screen:
    """One open page, read by what it shows."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        page.set_default_timeout(PATIENCE_MS)

    def open(self, stall: Stall, interval: str = "1d") -> None:
        """Goes to a market and waits until it is live."""
        self.page.goto(f"{self.origin}/#{stall.symbol}/{interval}")
        self.expect_live()

    def expect_live(self) -> None:
        expect(self.page.locator("#pill")).to_have_attribute("data-state", "live", timeout=30_000)

    def expect_close(self, price: str) -> None:
        """The newest bar stands at `price`."""
        expect(self.page.locator("#legend")).to_contain_text(f"C{price}")

    def expect_last(self, price: str) -> None:
        """Strip, list and window title say `price`."""
        expect(self.page.locator("#strip-last")).to_contain_text(price)
        expect(self.page.locator("tr[aria-current=true] .last")).to_have_text(price)
        expect(self.page).to_have_title(f"{price} {self.page.locator('h1').inner_text()} · MoonX")

    def expect_tape(self, *prices: str) -> None:
        """The newest trades, newest first."""
        cells = self.page.locator("#tape-body tr td:first-child")
        expect(cells).not_to_have_count(0)
        for at, price in enumerate(prices):
            expect(cells.nth(at)).to_contain_text(price)

    def tape_ids(self) -> list[int]:
        """The trades' numbers, from top to bottom."""
        ids: list[int] = self.page.eval_on_selector_all(
            "#tape-body tr[data-id]", "rows => rows.map(row => Number(row.dataset.id))"
        )
        return ids

    def theme(self) -> str:
        """The ground's colour, as drawn."""
        colour: str = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    def settle(self) -> None:
        """Waits until no request is under way."""
        with suppress(TimeoutError):
            self.page.wait_for_load_state("networkidle")

"""Trading on the page: what a reader places, holds, sees filled and gets back."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from playwright.sync_api import Route, expect

from apps.exchange import orders, tasks
from apps.exchange.models import Order
from tests.browser.chromium import Watch, sideways
from tests.browser.conftest import OpenScreen
from tests.browser.desk import Desk
from tests.browser.screen import Screen
from tests.browser.site import Stall

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

EXPIRY_EVERY_S = 10  # as scheduled


@pytest.fixture
def desk(screen: Screen, stall: Stall) -> Desk:
    """Somebody with an account, at a market of their own."""
    return Desk.taken(screen, stall)


@pytest.fixture
def other(stall: Stall) -> int:
    """Another trader of that market."""
    return stall.trader(f"other-{stall.symbol}")


def test_an_order_fills_against_another_trader_while_one_watches(desk: Desk, other: int) -> None:
    desk.stall.place(other, "sell", "100.00", "2")
    desk.expect_level("asks", "100.00", "2.000")
    desk.expect_balance(desk.base, free="1,000.00", held="0.00", total="1,000.00")
    desk.fill(price="100", amount="0.5")
    desk.expect_costs(hold="50.05 USDC", fee="0.05 USDC")
    desk.submit()
    desk.expect_said(f"Bought 0.5 {desk.base} for 50.00 USDC, fee 0.05 USDC.")
    desk.expect_level("asks", "100.00", "1.500")
    desk.expect_balance(desk.base, free="1,000.50", held="0.00", total="1,000.50")
    desk.expect_balance("USDC", free="999,949.95", held="0.00", total="999,949.95")
    fill = desk.rows("fills").first
    expect(fill).to_contain_text("Buy")
    expect(fill).to_contain_text("100.00")
    expect(fill).to_contain_text("taker")
    desk.screen.expect_tape("100.00")


def test_a_resting_order_is_held_filled_by_somebody_else_and_told(desk: Desk, other: int) -> None:
    desk.side("SELL")
    desk.fill(price="101.00", amount="3")
    desk.expect_costs(hold=f"3.00 {desk.base}", fee="0.303 USDC")
    desk.submit()
    desk.expect_said(f"Placed: 3 {desk.base} at 101.00 offered.")
    desk.expect_balance(desk.base, free="997.00", held="3.00", total="1,000.00")
    expect(desk.rows("orders")).to_have_count(1)
    desk.expect_level("asks", "101.00", "3.000")
    expect(desk.page.locator("#asks tr[data-mine]")).to_have_count(1)
    desk.stall.place(other, "buy", "101.00", "1")
    expect(desk.rows("orders").first).to_contain_text("1.000 / 3.000")
    desk.expect_balance(desk.base, free="997.00", held="2.00", total="999.00")
    desk.stall.place(other, "buy", "101.00", "2")
    expect(desk.rows("orders")).to_have_count(0)
    expect(desk.page.locator("#mine-said")).to_contain_text("filled")


def test_an_order_that_expires_disappears_and_its_balance_comes_back(desk: Desk) -> None:
    desk.choose("force", "GTD")
    desk.choose("span", "s")
    desk.fill(price="90.00", amount="10", lasts="4")
    desk.submit()
    desk.expect_balance("USDC", free="999,099.10", held="900.90", total="1,000,000.00")
    expect(desk.rows("orders").first.locator(".ends")).to_have_text(re.compile(r"^00:0\d$"))
    desk.page.wait_for_timeout(4500)
    desk.stall.site.database(orders.expire_due)
    expect(desk.rows("orders")).to_have_count(0)
    desk.expect_balance("USDC", free="1,000,000.00", held="0.00", total="1,000,000.00")
    expect(desk.page.locator("#mine-said")).to_contain_text("expired")
    desk.tab("past")
    expect(desk.rows("past").first).to_contain_text("expired, its time ran out")


def test_an_order_is_cancelled_and_all_are(desk: Desk) -> None:
    for price in ("80.00", "81.00", "82.00"):
        desk.fill(price=price, amount="1")
        desk.submit()
        desk.expect_level("bids", price, "1.000")
    expect(desk.page.locator("#count-orders")).to_have_text("3")
    desk.rows("orders").first.get_by_role("button", name="Cancel").click()
    expect(desk.rows("orders")).to_have_count(2)
    desk.page.get_by_role("button", name="Cancel all").click()
    desk.page.get_by_role("button", name="Cancel all 2?").click()
    expect(desk.page.get_by_text("No open orders.")).to_be_visible()
    desk.expect_balance("USDC", free="1,000,000.00", held="0.00", total="1,000,000.00")


def test_each_type_of_order_is_placed_with_its_own_fields(desk: Desk, other: int) -> None:
    desk.stall.place(other, "sell", "100.00", "10")
    desk.stall.place(other, "buy", "99.00", "10")
    desk.choose("type", "MARKET")
    desk.choose("unit", "quote")
    desk.fill(amount="100.10")
    desk.submit()
    desk.expect_said(f"Bought 1 {desk.base} for 100.00 USDC, fee 0.10 USDC.")
    desk.side("SELL")
    desk.choose("unit", "base")
    desk.fill(amount="1")
    desk.submit()
    desk.expect_said(f"Sold 1 {desk.base} for 99.00 USDC, fee 0.099 USDC.")
    desk.choose("type", "STOP_LOSS_LIMIT")
    desk.fill(stop="95.00", price="94.00", amount="2")
    desk.submit()
    desk.expect_said("waiting for 95.00")
    expect(desk.rows("orders").first).to_contain_text("trigger 95.00")
    desk.side("BUY")
    desk.choose("type", "TAKE_PROFIT_LIMIT")
    desk.fill(stop="97.00", price="98.00", amount="2")
    desk.submit()
    expect(desk.rows("orders")).to_have_count(2)
    desk.choose("type", "LIMIT")
    desk.choose("force", "IOC")
    desk.fill(price="99.50", amount="1")
    desk.submit()
    desk.expect_said("Nothing matched: the order expired.")


def test_a_refusal_is_told_in_the_servers_words_at_the_field(
    desk: Desk, other: int, watch: Watch
) -> None:
    watch.expected_statuses = frozenset({400})
    desk.stall.place(other, "sell", "100.00", "10")
    desk.choose("type", "LIMIT_MAKER")
    desk.fill(price="100.00", amount="1")
    desk.submit()
    desk.expect_said("Not placed: Order would immediately match and take.")
    expect(desk.field("price")).to_be_focused()
    expect(desk.page.locator("#fault-price")).to_have_text(
        "Order would immediately match and take."
    )


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"price": "", "amount": "1"}, "price", "Enter the price."),
        ({"price": "1,5", "amount": "1"}, "price", "Write a point for decimals"),
        ({"price": "10.001", "amount": "1"}, "price", "steps of 0.01"),
        ({"price": "10", "amount": ""}, "amount", "Enter the amount."),
        ({"price": "10", "amount": "0.0001"}, "amount", "steps of 0.001"),
        ({"price": "10", "amount": "1e3"}, "amount", "Enter a number"),
        ({"price": "10", "amount": "\N{ARABIC-INDIC DIGIT ONE}"}, "amount", "Enter a number"),
        ({"price": "10", "amount": "1000000"}, "amount", "are free"),
    ],
)
def test_the_first_wrong_field_is_focused_with_the_reason_beside_it(
    desk: Desk, typed: dict[str, str], field: str, sentence: str
) -> None:
    desk.fill(**typed)
    desk.submit()
    expect(desk.field(field)).to_be_focused()
    expect(desk.field(field)).to_have_attribute("aria-invalid", "true")
    expect(desk.page.locator(f"#fault-{field}")).to_contain_text(sentence)
    assert desk.stall.site.database(Order.objects.filter(market=desk.stall.market).count) == 0


def test_a_part_of_what_is_free_never_holds_more_than_that(desk: Desk) -> None:
    desk.fill(price="33.33")
    desk.page.locator("[data-percent='100']").click()
    desk.submit()
    desk.expect_said("Placed: ")
    held = desk.stall.site.database(lambda: Order.objects.get(market=desk.stall.market).held)
    assert Decimal(1_000_000) - held < Decimal("0.04")


def test_keys_begin_an_order_and_leave_it(desk: Desk) -> None:
    desk.page.keyboard.press("s")
    expect(desk.page.locator("#ticket-form")).to_have_attribute("data-side", "SELL")
    expect(desk.field("price")).to_be_focused()
    desk.page.keyboard.press("Escape")
    expect(desk.field("price")).not_to_be_focused()
    desk.page.keyboard.press("b")
    expect(desk.page.locator("#ticket-form")).to_have_attribute("data-side", "BUY")


def test_a_level_of_the_book_gives_its_price(desk: Desk, other: int) -> None:
    desk.stall.place(other, "sell", "123.45", "2")
    desk.expect_level("asks", "123.45", "2.000")
    desk.page.locator("#asks tr[data-price]").click()
    expect(desk.field("price")).to_have_value("123.45")


def test_a_lost_answer_is_asked_about_before_anything_is_said(desk: Desk, watch: Watch) -> None:
    watch.server_may_be_gone = True

    def lose(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        route.fetch()  # it arrives, its answer does not
        return route.abort("connectionreset")

    desk.page.route("**/api/v3/order", lose)
    desk.fill(price="50.00", amount="1")
    desk.submit()
    desk.expect_said(f"Placed: 1 {desk.base} at 50.00 wanted.")
    assert desk.stall.site.database(Order.objects.filter(market=desk.stall.market).count) == 1


def test_an_order_that_did_not_arrive_is_said_to_be_none(desk: Desk, watch: Watch) -> None:
    watch.server_may_be_gone = True
    watch.expected_statuses = frozenset({400})
    desk.page.route(
        "**/api/v3/order",
        lambda route: (
            route.abort("connectionreset") if route.request.method == "POST" else route.continue_()
        ),
    )
    desk.fill(price="50.00", amount="1")
    desk.submit()
    desk.expect_said("The order did not arrive: nothing was placed.")
    desk.page.unroute("**/api/v3/order")
    desk.submit()
    desk.expect_said(f"Placed: 1 {desk.base} at 50.00 wanted.")


def test_depth_is_drawn_from_the_book_and_moves_with_it(desk: Desk, other: int) -> None:
    desk.stall.place(other, "sell", "101.00", "2")
    desk.stall.place(other, "buy", "99.00", "2")
    switch = desk.page.locator("#chart-switch")
    place = switch.bounding_box()
    switch.get_by_role("button", name="Depth").click()
    picture = desk.page.locator("#depth-picture")
    expect(picture).to_have_attribute("aria-label", re.compile("Best bid 99.00, best ask 101.00"))
    assert switch.bounding_box() == place
    before = picture.locator(".depth-line.up").get_attribute("d")
    desk.stall.place(other, "buy", "100.00", "5")
    expect(picture).to_have_attribute("aria-label", re.compile("Best bid 100.00"))
    assert picture.locator(".depth-line.up").get_attribute("d") != before


def test_the_book_may_be_grouped(desk: Desk, other: int) -> None:
    for price in ("100.01", "100.02", "100.11"):
        desk.stall.place(other, "sell", price, "1")
    desk.expect_level("asks", "100.01", "1.000")
    desk.page.locator("#book-step").select_option("0.1")
    desk.expect_level("asks", "100.1", "2.000")
    expect(desk.page.locator("#asks tr[data-price]")).to_have_count(2)


def test_who_is_not_signed_in_is_asked_to_be_and_then_trades(screen: Screen, stall: Stall) -> None:
    stall.trader(f"late-{stall.symbol}")
    screen.open(stall)
    page = screen.page
    expect(page.locator("#ticket-gate")).to_have_text(re.compile("Sign in to place orders."))
    expect(page.locator("#mine-gate")).to_have_text(re.compile("Sign in to see your orders"))
    page.keyboard.press("b")
    expect(page.locator("#signin")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#signin")).to_be_hidden()
    desk = Desk(screen, stall)
    desk.sign_in(f"late-{stall.symbol}")
    desk.expect_balance("USDC", free="1,000,000.00", held="0.00", total="1,000,000.00")
    page.reload()
    desk.expect_balance("USDC", free="1,000,000.00", held="0.00", total="1,000,000.00")
    page.locator("#signout").click()
    expect(page.locator("#ticket-gate")).to_be_visible()
    expect(page.locator("#mine-balances")).to_be_hidden()


def test_orders_of_a_phone_are_placed_in_their_own_view(
    open_screen: OpenScreen, stall: Stall
) -> None:
    desk = Desk.taken(open_screen(width=360, height=740), stall)
    tabs = desk.page.get_by_role("navigation", name="Views")
    tabs.get_by_role("button", name="Trade").click()
    desk.fill(price="42.00", amount="1")
    desk.submit()
    desk.expect_said("Placed: ")
    tabs.get_by_role("button", name="Mine").click()
    expect(desk.rows("orders")).to_have_count(1)
    for view in ("Markets", "Chart", "Book", "Trade", "Mine"):
        tabs.get_by_role("button", name=view).click()
        assert sideways(desk.page) is None, view


def test_what_happened_while_the_server_was_gone_is_shown_afterwards(
    desk: Desk, other: int, watch: Watch
) -> None:
    watch.server_may_be_gone = True
    desk.side("SELL")
    desk.fill(price="101.00", amount="3")
    desk.submit()
    expect(desk.rows("orders")).to_have_count(1)
    desk.stall.site.kill_web()
    expect(desk.page.locator("#pill")).to_have_attribute("data-state", "waiting")
    desk.stall.place(other, "buy", "101.00", "3")
    desk.stall.site.start_web()
    desk.screen.expect_live()
    expect(desk.rows("orders")).to_have_count(0)
    desk.expect_balance(desk.base, free="997.00", held="0.00", total="997.00")


@contextmanager
def swept(stall: Stall) -> Iterator[None]:
    """Runs the scheduled sweep of expired orders at its pace."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(EXPIRY_EVERY_S):
            stall.site.database(tasks.expire_orders)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_sweep_ends_an_order_of_twenty_seconds_while_one_watches(desk: Desk) -> None:
    desk.choose("force", "GTD")
    desk.choose("span", "s")
    desk.fill(price="90.00", amount="10", lasts="20")
    desk.submit()
    desk.expect_balance("USDC", free="999,099.10", held="900.90", total="1,000,000.00")
    with swept(desk.stall):
        expect(desk.rows("orders")).to_have_count(0, timeout=40_000)
        desk.expect_balance("USDC", free="1,000,000.00", held="0.00", total="1,000,000.00")

"""The market page: what stands, what moves, what is remembered."""

import re

import pytest
from playwright.sync_api import expect

from chaos.emptied import empty_valkey
from tests.browser.chromium import Watch, sideways
from tests.browser.conftest import OpenScreen
from tests.browser.screen import Screen
from tests.browser.site import Site, Stall

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

INTERVALS = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1M"]


def test_bars_stand_and_move_with_a_trade(screen: Screen, stall: Stall) -> None:
    stall.trade("100.00", "101.50")
    stall.update_tickers()
    screen.open(stall)
    screen.expect_close("101.50")
    stall.trade("99.25")
    screen.expect_close("99.25")
    screen.expect_last("99.25")
    expect(screen.page.locator("#legend")).to_contain_text("H101.50")
    expect(screen.page.locator("#legend")).to_contain_text("L99.25")


def test_the_ticker_reaches_strip_and_list(screen: Screen, stall: Stall) -> None:
    stall.trade("100.00", "110.00", "105.00")
    stall.update_tickers()
    screen.open(stall)
    screen.expect_last("105.00")
    expect(screen.page.locator("#strip-change")).to_have_text("+5.00 %")
    expect(screen.page.locator("#strip-high")).to_have_text("110.00")
    expect(screen.page.locator("#strip-low")).to_have_text("100.00")
    expect(screen.page.locator("#strip-trades")).to_have_text("3")


def test_each_interval_shows_its_bars_and_moves(screen: Screen, stall: Stall) -> None:
    stall.trade("100.00")
    screen.open(stall)
    for number, interval in enumerate(INTERVALS):
        screen.page.get_by_role("button", name=interval, exact=True).click()
        expect(screen.page.locator("#canvas")).to_have_attribute(
            "aria-label", re.compile(f", {interval} candlesticks")
        )
        stall.trade(f"{101 + number}.00")
        screen.expect_close(f"{101 + number}.00")
    assert screen.page.url.endswith("/1M")


def test_the_tape_is_newest_first_and_without_a_hole(screen: Screen, stall: Stall) -> None:
    stall.trade(*(f"{100 + number}.00" for number in range(60)))
    screen.open(stall)
    screen.expect_tape("159.00", "158.00")
    stall.trade("200.00", sold=True)
    stall.trade("201.00")
    screen.expect_tape("201.00", "200.00", "159.00")
    ids = screen.tape_ids()
    assert ids == list(range(62, 62 - len(ids), -1))
    rows = screen.page.locator("#tape-body tr td:first-child")
    expect(rows.nth(0)).to_have_class("up")
    expect(rows.nth(1)).to_have_class("down")


def test_a_market_that_never_traded_says_so_until_its_first_trade(
    screen: Screen, stall: Stall
) -> None:
    screen.open(stall)
    expect(screen.page.get_by_text("has not traded yet")).to_be_visible()
    expect(screen.page.get_by_text("No trade yet.")).to_be_visible()
    stall.trade("42.00")
    screen.expect_close("42.00")
    screen.expect_tape("42.00")


def test_a_choice_of_theme_outlives_the_page(open_screen: OpenScreen, stall: Stall) -> None:
    screen = open_screen(theme="dark")
    screen.open(stall)
    dark = screen.theme()
    screen.page.locator("#theme").click()
    light = screen.theme()
    assert light != dark
    screen.page.reload()
    assert screen.theme() == light


def test_the_theme_follows_the_system_until_one_is_chosen(open_screen: OpenScreen) -> None:
    grounds = set()
    for theme in ("dark", "light"):
        screen = open_screen(theme=theme)
        screen.page.goto(screen.origin)
        grounds.add(screen.theme())
    assert grounds == {"rgb(11, 14, 20)", "rgb(247, 248, 250)"}


def test_what_happened_while_the_server_was_gone_is_shown_afterwards(
    screen: Screen, site: Site, stall: Stall, watch: Watch
) -> None:
    watch.server_may_be_gone = True
    stall.trade("100.00", "101.00")
    screen.open(stall)
    screen.expect_close("101.00")
    site.kill_web()
    expect(screen.page.locator("#pill")).to_have_attribute("data-state", "waiting")
    expect(screen.page.locator("#pill")).to_contain_text("retry in")
    expect(screen.page.locator("body")).to_have_attribute("data-link", "down")
    stall.trade("150.00", "90.00", "120.00")
    site.start_web()
    screen.expect_live()
    screen.expect_tape("120.00", "90.00", "150.00", "101.00", "100.00")
    screen.expect_close("120.00")
    expect(screen.page.locator("body")).to_have_attribute("data-link", "up")
    volume = screen.page.locator("#legend b", has_text="Vol")
    expect(volume).to_have_text("Vol50.00")


def test_a_new_epoch_leaves_no_gap(screen: Screen, stall: Stall) -> None:
    stall.trade("100.00")
    screen.open(stall)
    screen.expect_tape("100.00")
    empty_valkey()
    stall.trade("101.00", "102.00")
    screen.expect_tape("102.00", "101.00", "100.00")
    screen.expect_close("102.00")


def test_a_slash_searches_and_escape_leaves(screen: Screen, stall: Stall) -> None:
    screen.open(stall)
    rows = screen.page.locator("#list-body tr[data-symbol]")
    screen.page.keyboard.press("/")
    screen.page.keyboard.type(stall.symbol.lower())
    expect(rows).to_have_count(1)
    screen.page.keyboard.type("nothing")
    expect(screen.page.get_by_text("No market matches")).to_be_visible()
    screen.page.keyboard.press("Escape")
    expect(screen.page.locator("#search")).to_have_value("")
    expect(screen.page.locator("#search")).not_to_be_focused()


def test_a_column_sorts_by_its_amounts(screen: Screen, site: Site) -> None:
    for base, price in (("SORTA", "9.00"), ("SORTB", "10.00"), ("SORTC", "0.50")):
        Stall(site, base).trade(price)
    cheap = Stall(site, "SORTD")
    cheap.update_tickers()
    screen.open(cheap)
    screen.page.locator("#search").fill("sort")
    names = screen.page.locator("#list-body tr[data-symbol] a")
    last = screen.page.get_by_role("button", name="Last", exact=True)
    last.click()
    expect(names).to_have_text(["SORTB/USDC", "SORTA/USDC", "SORTC/USDC", "SORTD/USDC"])
    expect(last).to_have_accessible_description("descending")
    last.click()
    expect(names).to_have_text(["SORTC/USDC", "SORTA/USDC", "SORTB/USDC", "SORTD/USDC"])
    expect(last).to_have_accessible_description("ascending")
    expect(screen.page.locator("#list th [aria-pressed=true]")).to_have_text(["Last"])


def test_a_trade_moves_a_price_and_the_next_tickers_the_order(screen: Screen, site: Site) -> None:
    for base, price in (("MOVEA", "10.00"), ("MOVEB", "9.00")):
        stall = Stall(site, base)
        stall.trade(price)
    stall.update_tickers()
    screen.open(stall)
    screen.page.locator("#search").fill("move")
    names = screen.page.locator("#list-body tr[data-symbol] a")
    screen.page.get_by_role("button", name="Last", exact=True).click()
    expect(names).to_have_text(["MOVEA/USDC", "MOVEB/USDC"])
    screen.page.wait_for_timeout(500)  # the tickers that were told before the page came are here
    stall.trade("11.00")
    screen.expect_last("11.00")
    expect(names).to_have_text(["MOVEA/USDC", "MOVEB/USDC"])
    stall.update_tickers()
    expect(names).to_have_text(["MOVEB/USDC", "MOVEA/USDC"])


def test_the_list_is_sorted_by_the_days_volume(screen: Screen, site: Site) -> None:
    for base, quantity in (("SUMA", "9"), ("SUMB", "100"), ("SUMC", "20")):
        stall = Stall(site, base)
        stall.trade("2.00", quantity=quantity)
    stall.update_tickers()
    screen.open(stall)
    screen.page.locator("#search").fill("sum")
    rows = screen.page.locator("#list-body tr[data-symbol]")
    expect(rows.first.locator(".turnover")).to_be_hidden()
    screen.page.get_by_role("button", name="Volume", exact=True).click()
    expect(rows.locator("a")).to_have_text(["SUMB/USDC", "SUMC/USDC", "SUMA/USDC"])
    expect(rows.last.get_by_text("18.00 USDC")).to_be_visible()


def test_a_market_that_appears_above_moves_nothing_that_is_in_view(
    screen: Screen, site: Site
) -> None:
    stalls = [Stall(site, f"PLACE{number:02d}") for number in range(24)]
    screen.open(stalls[0])
    row = screen.page.locator(f"#list-body tr[data-symbol={stalls[12].symbol}]")
    row.evaluate("row => row.closest('.scroll').scrollTop = row.offsetTop - 32")
    before = row.bounding_box()
    new = Stall(site, "AAA")
    new.trade("1.00")
    new.update_tickers()
    expect(screen.page.locator("#list-body tr[data-symbol] a").first).to_have_text("AAA/USDC")
    assert row.bounding_box() == before


@pytest.mark.parametrize("width", [360, 390, 700, 1024, 1200, 1440])
def test_nothing_scrolls_sideways(open_screen: OpenScreen, stall: Stall, width: int) -> None:
    stall.trade("100.00", "123456.78", quantity="98765.432")
    stall.update_tickers()
    screen = open_screen(width=width)
    screen.open(stall)
    screen.expect_close("123,456.78")
    assert sideways(screen.page) is None


def test_a_phone_shows_one_view_at_a_time(open_screen: OpenScreen, stall: Stall) -> None:
    stall.trade("100.00")
    screen = open_screen(width=360, height=740)
    screen.open(stall)
    tabs = screen.page.get_by_role("navigation", name="Views")
    views = {
        "Markets": ["markets"],
        "Chart": ["chart"],
        "Book": ["book", "tape"],
        "Trade": ["ticket", "book"],
        "Mine": ["mine"],
    }
    for name, panels in views.items():
        tabs.get_by_role("button", name=name).click()
        expect(screen.page.locator(".panel:visible")).to_have_count(len(panels))
        for panel in panels:
            expect(screen.page.locator(f"#{panel}")).to_be_visible()
        assert sideways(screen.page) is None


@pytest.mark.parametrize("path", ["/docs", "/docs/http", "/docs/ws"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_documents_fit_their_window(open_screen: OpenScreen, path: str, width: int) -> None:
    screen = open_screen(width=width)
    screen.page.goto(screen.origin + path)
    assert sideways(screen.page) is None
    expect(screen.page.get_by_role("heading", level=1)).to_be_visible()


def test_a_missing_page_is_answered_in_the_same_look(open_screen: OpenScreen, watch: Watch) -> None:
    watch.expected_statuses = frozenset({404})
    screen = open_screen()
    screen.page.goto(f"{screen.origin}/nothing-here")
    expect(screen.page.get_by_role("heading", name="There is nothing at")).to_be_visible()
    assert screen.theme() == "rgb(11, 14, 20)"

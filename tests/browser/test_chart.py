"""The chart: its whole past, intervals without a blank, files, averages, what is revised."""

import csv
import json
import re
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.browser.chromium import Watch
from tests.browser.screen import Screen
from tests.browser.site import Stall

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SEED = 20191011
MINUTES = 2_700  # bars of 1m: four answers of the server

# What the page itself holds: its modules are loaded once, so this is the page's own instance.
HELD = """async () => {
    const { current } = await import("/static/realtime/js/history.js");
    return { times: [...current()].map((bar) => bar.time), complete: current().complete };
}"""
VISIBLE = """async () => (await import("/static/realtime/js/chart.js")).visible()"""


def rows(screen: Screen, stall: Stall, **query: Any) -> list[list[Any]]:
    """What the server says of the stall's bars, asked in pages."""
    found: list[list[Any]] = []
    asked = {"symbol": stall.symbol, "limit": 1000, "startTime": 0, **query}
    while True:
        address = f"{screen.origin}/api/v3/klines?{urlencode(asked)}"
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310
            page = json.load(answer)
        found += page
        if len(page) < 1000:
            return found
        asked["startTime"] = page[-1][0] + 1


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def past(minutes: int, *, count: int = 60) -> list[datetime]:
    """Moments of trades, the first one so many minutes ago; most minutes have none."""
    random = Random(SEED)  # noqa: S311
    start = datetime.now(UTC) - timedelta(minutes=minutes)
    return sorted(
        [start, *(start + timedelta(minutes=minutes * random.random()) for _ in range(count))]
    )


def show(screen: Screen, stall: Stall) -> None:
    """Opens the minutes of a market and waits for them."""
    screen.open(stall, "1m")
    screen.page.wait_for_selector("#chart-cover", state="hidden")


def scroll(page: Page, *, left_px: int) -> None:
    """Moves the chart's past into view."""
    page.mouse.move(500, 400)
    page.mouse.wheel(-left_px, 0)


def in_view(page: Page) -> dict[str, Any]:
    """Which bars are in view, once that has stood for a quarter of a second: a move glides on, and
    bars that come meanwhile move what is in view."""
    before: dict[str, Any] | None = None
    for _ in range(80):
        found: dict[str, Any] | None = page.evaluate(VISIBLE)
        if found is not None and found == before:
            return found
        before = found
        page.wait_for_timeout(250)
    raise AssertionError("what is in view never stood still")


def scroll_to_the_start(page: Page) -> None:
    """Moves on until the page knows the first bar; it may be loading, or pausing after a fault."""
    for _ in range(80):
        if page.evaluate(HELD)["complete"]:
            return
        scroll(page, left_px=8_000)
        page.wait_for_timeout(100)
    raise AssertionError("the first bar never came")


def wait_for(page: Page, what: str, value: object) -> None:
    """Waits until `what` of the bars that the page holds is that."""
    module = "/static/realtime/js/history.js"
    for _ in range(200):
        if page.evaluate(f"async () => (await import('{module}')).current()?.{what}") == value:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{what} never was {value}")


def holding(page: Page, requests: str) -> list[Route]:
    """Has requests wait; they are in the list from when they are made."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(requests, hold)
    return held


def test_scrolling_to_the_first_trade_leaves_no_gap_and_no_double(
    screen: Screen, stall: Stall
) -> None:
    stall.traded(*past(MINUTES))
    show(screen, stall)
    scroll_to_the_start(screen.page)
    held = screen.page.evaluate(HELD)
    served = [row[0] for row in rows(screen, stall, interval="1m", endTime=held["times"][-1])]
    assert len(served) > MINUTES
    assert held["times"] == served


def test_older_bars_come_without_moving_what_is_in_view(screen: Screen, stall: Stall) -> None:
    stall.traded(*past(900))
    show(screen, stall)
    held = holding(screen.page, "**/api/v3/klines*endTime*")
    scroll(screen.page, left_px=4_200)  # close to the oldest one, all of the view still bars
    expect(screen.page.locator("#chart-hint")).to_have_text("Loading older bars")
    before = in_view(screen.page)
    held[0].continue_()
    expect(screen.page.locator("#chart-hint")).to_be_empty()
    assert len(screen.page.evaluate(HELD)["times"]) > 900
    assert in_view(screen.page) == before


def test_older_bars_that_do_not_come_are_asked_for_by_the_next_move(
    screen: Screen, stall: Stall, watch: Watch
) -> None:
    watch.expected_statuses = frozenset({503})
    stall.traded(*past(900))
    show(screen, stall)
    older = "**/api/v3/klines*endTime*"
    screen.page.route(older, lambda route: route.fulfill(status=503, json={"msg": "Too busy."}))
    scroll(screen.page, left_px=6_000)
    hint = screen.page.locator("#chart-hint")
    expect(hint).to_have_text(
        "Older bars could not be loaded. Too busy. Moving the chart tries again."
    )
    screen.page.unroute(older)
    scroll_to_the_start(screen.page)
    expect(hint).to_be_empty()


# At once, as no test could on a busy machine.
MOVE_AFTER_A_FAILURE = """() => {
    const hint = document.getElementById("chart-hint");
    const move = () => document.getElementById("canvas").dispatchEvent(new WheelEvent("wheel"));
    const look = () => hint.textContent.includes("tries again") && move();
    new MutationObserver(look).observe(hint, { childList: true });
}"""


def test_a_move_in_the_pause_after_a_failure_is_not_lost(
    screen: Screen, stall: Stall, watch: Watch
) -> None:
    watch.expected_statuses = frozenset({503})
    stall.traded(*past(900))
    show(screen, stall)
    screen.page.evaluate(MOVE_AFTER_A_FAILURE)
    screen.page.route("**/api/v3/klines*endTime*", lambda route: route.fulfill(status=503), times=1)
    scroll(screen.page, left_px=6_000)
    wait_for(screen.page, "complete", value=True)


def test_older_bars_given_up_for_another_interval_are_no_failure(
    screen: Screen, stall: Stall
) -> None:
    stall.traded(*past(MINUTES))
    show(screen, stall)
    held = holding(screen.page, "**/api/v3/klines*endTime*")
    scroll(screen.page, left_px=6_000)
    hint = screen.page.locator("#chart-hint")
    expect(hint).to_have_text("Loading older bars")
    choose(screen.page, "5m")
    canvas = screen.page.locator("#canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile(", 5m candlesticks"))
    asked = """async () => {
        (await import("/static/realtime/js/history.js")).older();
        return document.getElementById("chart-hint").textContent;
    }"""
    assert screen.page.evaluate(asked) == "Loading older bars"
    held[-1].continue_()
    expect(hint).to_be_empty()


SAMPLER = """() => {
    window.samples = [];
    const sample = () => {
        const [cover, legend] = ["chart-cover", "legend"].map((id) => document.getElementById(id));
        const waits = "waits" in document.querySelector(".chart-body").dataset;
        window.samples.push({ blank: !cover.hidden || !legend.children.length, waits });
        requestAnimationFrame(sample);
    };
    requestAnimationFrame(sample);
}"""


def test_a_switch_of_interval_never_shows_an_empty_chart(screen: Screen, stall: Stall) -> None:
    stall.traded(*past(900))
    show(screen, stall)
    held = holding(screen.page, "**/api/v3/klines*interval=15m*")
    screen.page.evaluate(SAMPLER)
    choose(screen.page, "15m")
    screen.page.wait_for_timeout(300)
    held[0].continue_()
    canvas = screen.page.locator("#canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile(", 15m candlesticks"))
    samples = screen.page.evaluate("window.samples")
    assert sum(sample["waits"] for sample in samples) > 5
    assert not any(sample["blank"] for sample in samples)
    assert not samples[-1]["waits"]


def choose(page: Page, interval: str) -> None:
    """Presses the button of an interval."""
    page.get_by_role("button", name=interval, exact=True).click()


def test_an_interval_that_cannot_be_had_says_so_and_shows_no_other(
    screen: Screen, stall: Stall, watch: Watch
) -> None:
    watch.expected_statuses = frozenset({503})
    stall.trade("100.00")
    screen.open(stall, "1m")
    screen.expect_close("100.00")
    hourly = "**/api/v3/klines*interval=4h*"
    screen.page.route(hourly, lambda route: route.fulfill(status=503, json={"msg": "Too busy."}))
    choose(screen.page, "4h")
    expect(screen.page.get_by_text("4h bars could not be loaded. Too busy.")).to_be_visible()
    expect(screen.page.locator("#legend")).to_be_empty()
    screen.page.unroute(hourly)
    screen.page.get_by_role("button", name="Try again").click()
    screen.expect_close("100.00")


def test_the_file_of_the_bars_in_view_is_what_the_server_says(
    screen: Screen, stall: Stall, tmp_path: Path
) -> None:
    stall.traded(*past(1_500))
    show(screen, stall)
    scroll(screen.page, left_px=5_000)  # into the older bars, so that more than a page is loaded
    expect(screen.page.locator("#chart-hint")).to_be_empty()
    view = in_view(screen.page)
    with screen.page.expect_download() as download:
        screen.page.locator("#download").click()
    expect(screen.page.locator("#asof")).to_contain_text(f"Exported {view['count']} bars:")
    assert re.fullmatch(
        rf"{stall.symbol}-1m-\d{{8}}T\d{{4}}Z-\d{{8}}T\d{{4}}Z\.csv",
        download.value.suggested_filename,
    )
    file = tmp_path / "bars.csv"
    download.value.save_as(file)
    with file.open(newline="") as lines:
        _, *written = csv.reader(lines)
    served = rows(screen, stall, interval="1m", startTime=view["from"], endTime=view["to"])
    assert len(served) == view["count"]
    assert written == [[str(value) for value in row[:11]] for row in served]


def test_a_file_that_cannot_be_had_says_so(screen: Screen, stall: Stall, watch: Watch) -> None:
    watch.expected_statuses = frozenset({503})
    stall.trade("100.00")
    screen.open(stall, "1m")
    screen.expect_close("100.00")
    screen.page.route(
        "**/api/v3/klines*startTime*",
        lambda route: route.fulfill(status=503, json={"msg": "Too busy."}),
    )
    screen.page.locator("#download").click()
    foot = screen.page.locator("#asof")
    expect(foot).to_have_text("Not exported: Too busy. Press CSV to try again.")


def test_a_file_without_bars_says_so(screen: Screen, stall: Stall) -> None:
    """What is in view was withdrawn, and the page has not heard of it yet."""
    stall.trade("100.00")
    screen.open(stall)
    screen.expect_close("100.00")
    screen.page.route("**/api/v3/klines*startTime*", lambda route: route.fulfill(json=[]))
    screen.page.locator("#download").click()
    expect(screen.page.locator("#asof")).to_have_text(
        "Not exported: The server has no bars of this time any more. Press CSV to try again."
    )


Push = Callable[[str, str, dict[str, Any]], None]


@pytest.fixture
def push(screen: Screen) -> Push:
    """Sends the page a message beside those of its server: type, channel, data."""
    sockets: list[WebSocketRoute] = []

    def connect(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    screen.page.route_web_socket("**/ws", connect)

    def pushed(name: str, channel: str, data: dict[str, Any]) -> None:
        head = {"type": name, "channel": channel, "kind": "update", "timestamp": now_ms()}
        sockets[-1].send(json.dumps({**head, "data": data}))

    return pushed


def test_a_revised_bar_is_told_and_the_flat_bars_after_it_follow(
    screen: Screen, stall: Stall, push: Push
) -> None:
    stall.traded(datetime.now(UTC) - timedelta(minutes=5))
    show(screen, stall)
    screen.expect_close("101.01")
    first = screen.page.evaluate(HELD)["times"][0]
    state = {"revision": 2, "closed": True, "tradeCount": 1, "baseVolume": "1"}
    prices = dict.fromkeys(("open", "high", "low", "close"), "90.00")
    bar = {"symbol": stall.symbol, "interval": "1m", "openTime": first, **prices, **state}
    push("candle.revised", f"candles:{stall.symbol}:1m", bar)
    screen.expect_close("90.00")
    screen.page.evaluate(HOVER_REVISED)
    expect(screen.page.locator("#revision")).to_have_text("revised twice")
    expect(screen.page.locator("#canvas")).to_have_attribute("title", "revised twice")
    for interval in ("5m", "1m"):
        choose(screen.page, interval)
        wait_for(screen.page, "interval", interval)
    screen.page.evaluate(HOVER_REVISED)
    expect(screen.page.locator("#revision")).to_have_text("revised twice")


# Moves the crosshair from the left until it meets a revised bar.
HOVER_REVISED = """async () => {
    const canvas = document.querySelector("#canvas td:nth-child(2) canvas:last-child");
    const { left, width, top } = canvas.getBoundingClientRect();
    const frame = () => new Promise(requestAnimationFrame);
    for (let x = 1; x < width && !document.getElementById("revision").textContent; x += 3) {
        const place = { clientX: left + x, clientY: top + 100, bubbles: true };
        for (const type of ["mouseenter", "mousemove"]) {
            canvas.dispatchEvent(new MouseEvent(type, place));
        }
        await frame();
    }
}"""


def test_a_withdrawn_trade_is_struck_out_and_no_longer_the_price(
    screen: Screen, stall: Stall, push: Push
) -> None:
    *_, last = stall.trade("100.00", "101.00", "150.00")
    stall.update_tickers()
    screen.open(stall, "1m")
    screen.expect_last("150.00")
    screen.expect_tape("150.00")
    bust = {"symbol": stall.symbol, "id": last.seq, "time": now_ms(), "bustedAt": now_ms()}
    with screen.page.expect_response(re.compile(r"/api/v3/klines\?.*startTime=\d+")):
        push("trade.busted", f"trades:{stall.symbol}", bust)
    screen.expect_last("101.00")
    struck = screen.page.locator("#tape-body tr[data-mark=busted]")
    expect(struck).to_have_count(1)
    expect(struck).to_contain_text("busted")
    expect(struck).to_have_attribute("title", re.compile("was withdrawn on"))


def test_a_bust_by_an_operator_shows_in_bars_and_ticker_without_a_reload(
    screen: Screen, stall: Stall
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=20)
    stall.traded(start, start + timedelta(minutes=9))
    stall.update_tickers()
    show(screen, stall)
    screen.expect_last("102.02")
    screen.expect_close("102.02")
    screen.page.evaluate("document.body.dataset.since = 'the beginning'")
    stall.bust(2)
    screen.expect_last("101.01")
    screen.expect_close("101.01")
    expect(screen.page.locator("#strip-trades")).to_have_text("1")
    screen.page.evaluate(HOVER_REVISED)
    expect(screen.page.locator("#revision")).to_have_text("revised twice")  # it came late, too
    expect(screen.page.locator("#tape-body tr[data-mark=busted]")).to_have_count(1)
    assert screen.page.evaluate("document.body.dataset.since") == "the beginning"


def test_no_bar_is_left_of_a_markets_first_trade_that_was_withdrawn(
    screen: Screen, stall: Stall
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=20)
    stall.traded(start, start + timedelta(minutes=9))
    show(screen, stall)
    first, second = (row[0] for row in rows(screen, stall, interval="1m") if row[8])
    assert screen.page.evaluate(HELD)["times"][0] == first
    stall.bust(1)
    expect(screen.page.locator("#tape-body tr[data-mark=busted]")).to_have_count(1)
    wait_for(screen.page, "first?.time", second)
    stall.bust(2)
    expect(screen.page.get_by_text("has not traded yet")).to_be_visible()
    expect(screen.page.locator("#legend")).to_be_empty()


def test_a_corrected_trade_stands_with_its_new_figures(
    screen: Screen, stall: Stall, push: Push
) -> None:
    *_, last = stall.trade("100.00", "150.00")
    stall.update_tickers()
    screen.open(stall, "1m")
    screen.expect_last("150.00")
    screen.expect_tape("150.00")
    identity = {"symbol": stall.symbol, "id": last.seq, "time": now_ms(), "bustedAt": now_ms()}
    former = {"price": "150.00", "quantity": "10.000", "isBuyerMaker": False}
    new = {"newPrice": "105.00", "newQuantity": "2.000", "newQuoteQuantity": "210.00000"}
    push("trade.busted", f"trades:{stall.symbol}", {**identity, **former, **new})
    screen.expect_last("105.00")
    screen.expect_tape("105.00", "100.00")
    row = screen.page.locator("#tape-body tr[data-mark=corrected]")
    expect(row).to_contain_text("2.000")
    expect(row).to_have_attribute("title", re.compile("it was 10.000 at 150.00"))


def test_averages_are_chosen_and_remembered(screen: Screen, stall: Stall) -> None:
    stall.traded(*past(300))
    show(screen, stall)
    long = screen.page.locator("#averages button", has_text="MA 99")
    expect(long).to_have_attribute("aria-pressed", "true")
    expect(long.locator(".value")).to_have_text(re.compile(r"^1\d\d\.\d\d$"))
    long.click()
    expect(long).to_have_attribute("aria-pressed", "false")
    expect(long.locator(".value")).to_be_empty()
    screen.page.reload()
    screen.expect_live()
    expect(long).to_have_attribute("aria-pressed", "false")
    expect(screen.page.locator("#averages [aria-pressed=true]")).to_have_count(2)
    fast = screen.page.locator("#averages button").first
    for width in (1440, 390):
        screen.page.set_viewport_size({"width": width, "height": 740})
        expect(fast).to_have_accessible_name(re.compile(r"^MA 7 1\d\d\.\d\d$"))

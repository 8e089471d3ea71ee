"""The page of chains: what stands, what moves, what is too old; by keyboard and on a phone."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.chromium import Watch, sideways
from tests.browser.conftest import OpenScreen
from tests.browser.screen import Screen
from tests.browser.site import Site
from tests.browser.watched import BASE, Watched

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

LATE = {"rule": "headAge", "value": 62_000, "limit": 60_000}


@pytest.fixture
def watched(site: Site) -> Watched:
    return Watched(site)


def opened(screen: Screen) -> Locator:
    """The page of chains, live; returns the card of Base."""
    screen.page.goto(f"{screen.origin}/#chains")
    screen.expect_live()
    return screen.page.locator(f".chain[data-chain={BASE}]")


def test_a_verdict_changes_while_one_watches(
    screen: Screen, site: Site, watched: Watched, watch: Watch
) -> None:
    watch.server_may_be_gone = True
    watched.chain("healthy")
    watched.overview(healthy=1, unknown=7)
    card = opened(screen)
    expect(card.locator(".verdict")).to_have_text("Healthy")
    expect(card).to_contain_text("12.41")
    expect(card.locator(".simulated")).to_be_visible()
    expect(screen.page.locator("#overview-active")).to_have_text("184,223")
    screen.page.evaluate("window.stays = true")
    watched.chain("unhealthy", LATE)
    watched.overview(unhealthy=1, unknown=7)
    expect(card.locator(".verdict")).to_have_text("Unhealthy")
    expect(card.locator(".reasons")).to_have_text("Age of the newest block 1 min, limit 1 min")
    expect(screen.page.locator("#overview-chains")).to_have_attribute("title", re.compile("1 unhe"))
    site.kill_web()
    expect(screen.page.locator("body")).to_have_attribute("data-link", "down")
    watched.chain("degraded", LATE)
    site.start_web()
    expect(card.locator(".verdict")).to_have_text("Degraded", timeout=30_000)
    expect(screen.page.locator("body")).to_have_attribute("data-link", "up")
    assert screen.page.evaluate("window.stays")


def test_what_is_stale_shows_its_age_and_is_not_called_healthy(
    screen: Screen, watched: Watched
) -> None:
    # Not yet too old for the page: that nobody looks any more is what the server knows.
    watched.chain("healthy", ago=timedelta(minutes=4, seconds=20))
    card = opened(screen)
    expect(card.locator(".age")).to_have_text("stale: sampled 4 min ago")
    # By then the subscription has told once more what was told last.
    watched.overview(degraded=1)
    expect(screen.page.locator("#overview-chains")).to_have_attribute("title", re.compile("1 degr"))
    expect(card.locator(".age")).to_have_text("stale: sampled 4 min ago")
    expect(card.locator(".verdict")).to_have_text("Unknown")
    expect(card.locator(".chain-head")).to_have_text("#21,482,193")
    watched.chain("healthy")
    watched.head(21_482_200)
    expect(card.locator(".chain-head")).to_have_text("#21,482,200")
    expect(card.locator(".age")).to_have_text(re.compile(r"^sampled \d+ s ago$"))
    expect(card.locator(".verdict")).to_have_text("Healthy")


def test_simulated_quotes_say_so_and_a_row_is_looked_at_by_keyboard(
    screen: Screen, watched: Watched, watch: Watch
) -> None:
    watch.expected_statuses |= {503}
    watched.bridge("healthy", 700)
    watched.bridge("degraded", 4200, size=1000)
    opened(screen)
    group = screen.page.locator("#bridges tbody[data-provider=lifi]")
    expect(group.get_by_text("simulated")).to_be_visible()
    title = screen.page.locator("#bridge-title")
    expect(title).to_have_text("LI.FI: Ethereum → Base, 1,000")
    expect(screen.page.locator("#bridge-simulated")).to_be_visible()
    expect(screen.page.locator("#overview-bridges-simulated")).to_be_hidden()
    expect(screen.page.locator("#bridge-words")).to_have_text("No quote in the last day")
    screen.page.route("**/stats/bridges/history?provider*", lambda route: route.fulfill(status=503))
    first = group.get_by_role("button").first
    first.focus()
    screen.page.keyboard.press("Enter")
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(title).to_have_text("LI.FI: Ethereum → Base, 100")
    expect(screen.page.locator("#bridge-words")).to_have_text("Quotes could not be loaded.")
    watched.bridge("healthy", 910)
    expect(group.locator("tr[data-key] td.p95")).to_have_text(["910 ms", "4.2 s"])
    screen.page.get_by_role("button", name="p95", exact=True).click()
    expect(group.locator("tr[data-key] td.p95")).to_have_text(["4.2 s", "910 ms"])


def test_a_phone_has_a_tab_for_chains_and_nothing_scrolls_sideways(
    open_screen: OpenScreen, watched: Watched
) -> None:
    watched.chain("degraded", LATE, {"rule": "brandNew" * 12, "value": 1, "limit": 2})
    watched.bridge("healthy", 700)
    screen = open_screen(width=360, height=740)
    screen.page.goto(screen.origin)
    tabs = screen.page.get_by_role("navigation", name="Views")
    tabs.get_by_role("button", name="Chains").click()
    expect(screen.page.locator(f".chain[data-chain={BASE}] .verdict")).to_have_text("Degraded")
    expect(screen.page.locator("#bridges tr[data-key]")).not_to_have_count(0)
    assert sideways(screen.page) is None
    expect(screen.page).to_have_title("Chains · MoonX")
    tabs.get_by_role("button", name="Markets").click()
    expect(screen.page.locator("#chains-page")).to_be_hidden()
    screen.page.go_back()
    expect(screen.page.locator("#chains-page")).to_be_visible()
    screen.page.keyboard.press("/")
    expect(screen.page.locator("#search")).to_be_focused()

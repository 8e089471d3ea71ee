"""The page of API keys: made once, shown once, revoked at once."""

import re

import pytest
from playwright.sync_api import expect

from apps.exchange import keys
from tests.browser.chromium import Watch, sideways
from tests.browser.conftest import OpenScreen
from tests.browser.screen import Screen
from tests.browser.site import PASSWORD, Stall

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def opened(screen: Screen, stall: Stall) -> int:
    """Opens the page as somebody new; returns who."""
    name = f"holder-{stall.symbol}"
    holder = stall.trader(name)
    page = screen.page
    page.goto(f"{screen.origin}/keys")
    expect(page.get_by_text("Sign in to see and make your API keys.")).to_be_visible()
    page.locator("#signin-open").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#signin-button").click()
    expect(page.get_by_text("No keys yet.")).to_be_visible()
    return holder


def test_a_key_is_made_shown_once_and_revoked(screen: Screen, stall: Stall) -> None:
    opened(screen, stall)
    page = screen.page
    page.get_by_label("Name", exact=True).fill("market maker")
    page.locator("#key-addresses").fill("127.0.0.1\n10.0.0.0/8")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("The secret is shown now and never again.")).to_be_visible()
    key = page.locator("#new-key").inner_text()
    secret = page.locator("#new-secret").inner_text()
    found = stall.site.database(lambda: keys.find(key))
    assert found is not None
    assert found.secret().decode() == secret
    row = page.locator("#keys-list tbody tr")
    expect(row).to_contain_text("market maker")
    expect(row).to_contain_text("trade and read")
    expect(row).to_contain_text(re.compile(r"127\.0\.0\.1(/32)?, 10\.0\.0\.0/8"))
    page.get_by_role("button", name="I have kept it").click()
    expect(page.locator("#secret")).to_be_hidden()
    page.reload()
    expect(row).to_have_count(1)
    expect(page.locator("body")).not_to_contain_text(secret)
    page.get_by_role("button", name="Revoke market maker").click()
    page.get_by_role("button", name="Keep it").click()
    assert stall.site.database(lambda: keys.find(key)) is not None
    page.get_by_role("button", name="Revoke market maker").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.locator("#list-said")).to_have_text("“market maker” is revoked.")
    assert stall.site.database(lambda: keys.find(key)) is None


def test_a_key_needs_a_name_and_addresses_that_are_some(
    screen: Screen, stall: Stall, watch: Watch
) -> None:
    watch.expected_statuses = frozenset({400, 422})
    opened(screen, stall)
    page = screen.page
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#key-label")).to_be_focused()
    expect(page.locator("#fault-label")).to_contain_text("Name the key")
    page.get_by_label("Name", exact=True).fill("reader")
    page.locator("#key-addresses").fill("somewhere")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#key-addresses")).to_be_focused()
    expect(page.locator("#fault-addresses")).to_contain_text("somewhere")


@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_of_keys_fits_its_window(
    open_screen: OpenScreen, stall: Stall, width: int
) -> None:
    screen = open_screen(width=width)
    opened(screen, stall)
    screen.page.get_by_label("Name", exact=True).fill(
        "a name that is quite long, as names of programs are"
    )
    screen.page.get_by_role("button", name="Make the key").click()
    expect(screen.page.locator("#keys-list tbody tr")).to_have_count(1)
    assert sideways(screen.page) is None

"""The page where the server asks who reads."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, expect
from pytest_django import DjangoDbBlocker

from chaos.emptied import empty
from tests.browser.chromium import Watch
from tests.browser.screen import Screen
from tests.browser.site import Site, Stall

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def site(
    browser: Browser, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """A site that shows nothing live to strangers, with one account."""
    with django_db_blocker.unblock():
        running = Site(anonymous_read=False)
        try:
            running.start()
            running.database(lambda: User.objects.create_user("alice", "", "correct horse"))
            yield running
        finally:
            running.stop()
            empty()


def test_a_reader_signs_in_stays_signed_in_over_a_reload_and_signs_out(
    screen: Screen, stall: Stall, watch: Watch
) -> None:
    watch.expected_statuses = frozenset({401})
    stall.trade("100.00")
    page = screen.page
    page.goto(f"{screen.origin}/#{stall.symbol}/1d")
    expect(page.locator("#signin")).to_be_visible()
    expect(page.locator("#pill-text")).to_have_text("Sign in")
    sign_in(screen, password="wrong")
    expect(page.locator("#signin-error")).to_have_text("Name and password do not match.")
    sign_in(screen, password="correct horse")
    screen.expect_live()
    expect(page.locator("#pill-text")).to_have_text("Live")
    screen.expect_close("100.00")
    page.reload()
    screen.expect_live()
    expect(page.locator("#signin")).to_be_hidden()
    page.locator("#signout").click()
    expect(page.locator("#signin")).to_be_visible()


def sign_in(screen: Screen, *, password: str) -> None:
    screen.page.get_by_label("Username").fill("alice")
    screen.page.get_by_label("Password").fill(password)
    screen.page.locator("#signin-button").click()

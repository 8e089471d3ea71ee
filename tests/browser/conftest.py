"""One browser and one site per module; each test trades on a market of its own."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect
from pytest_django import DjangoDbBlocker

from chaos.emptied import empty
from tests.browser import chromium
from tests.browser.screen import PATIENCE_MS, Screen
from tests.browser.site import Site, Stall

OpenScreen = Callable[..., Screen]

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium.

    Ends with the module: Playwright keeps an event loop running on the worker's thread, on which
    Django would refuse to serve the tests of other modules.
    """
    if chromium.executable() is None:
        pytest.skip("NO CHROMIUM: the page is NOT tested. Install Debian's package chromium.")
    expect.set_options(timeout=PATIENCE_MS)
    with chromium.launched() as launched:
        yield launched


@pytest.fixture(scope="module")
def site(
    browser: Browser, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """The processes behind the page, on the worker's database."""
    with django_db_blocker.unblock():
        running = Site()
        try:
            running.start()
            yield running
        finally:
            running.stop()
            empty()


@pytest.fixture
def stall(site: Site) -> Stall:
    """A market that nobody else trades on."""
    return Stall(site, f"COIN{next(_numbers)}")


@pytest.fixture
def watch(site: Site) -> Iterator[chromium.Watch]:
    """Fails the test for whatever its pages did that no page may do."""
    watching = chromium.Watch(site.origin)
    yield watching
    assert watching.faults == []


@pytest.fixture
def open_screen(browser: Browser, site: Site, watch: chromium.Watch) -> Iterator[OpenScreen]:
    """Opens pages in fresh profiles: `open_screen(width=390, theme="light")`."""
    contexts = []

    def opened(*, width: int = 1440, height: int = 900, theme: str = "dark") -> Screen:
        context = chromium.context(browser, width=width, height=height, theme=theme)
        contexts.append(context)
        page = context.new_page()
        watch.attach(page)
        return Screen(page, site.origin)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def screen(open_screen: OpenScreen) -> Screen:
    """A desktop window."""
    return open_screen()

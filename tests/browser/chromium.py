"""Debian's Chromium under Playwright, and what a page may not do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, sync_playwright

# No sandbox: tests run as root in containers, and visit nothing but their own server. The others
# keep the browser from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
]


# What a browser says of a server that is not there, or was killed before it answered.
GONE = ("ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET_NOT_CONNECTED")


def executable() -> str | None:
    """Where Chromium is; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless browser; needs `executable()`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watch:
    """Everything a page did that it may not do, as sentences.

    `expected_statuses` are answers that a view is about, such as 404 of the page that is not there.
    A browser reports each try that finds no server: `server_may_be_gone` where that is the point.
    """

    origin: str
    expected_statuses: frozenset[int] = frozenset()
    server_may_be_gone: bool = False
    faults: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        """Watches `page` from now on."""
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"uncaught error: {error}"))
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _console(self, kind: str, text: str) -> None:
        expected = any(f"status of {status}" in text for status in self.expected_statuses)
        expected |= self.server_may_be_gone and any(word in text for word in GONE)
        if kind in {"error", "warning"} and not expected:
            self.faults.append(f"console {kind}: {text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != urlsplit(self.origin).netloc:
            self.faults.append(f"left its origin for {request.url}")

    def _failed(self, request: Request) -> None:
        failure = str(request.failure)
        # A request that the page itself gave up, because something else was chosen, is no fault.
        expected = failure == "net::ERR_ABORTED"
        expected |= self.server_may_be_gone and any(word in failure for word in GONE)
        if not expected:
            self.faults.append(f"failed: {request.url} ({failure})")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected_statuses:
            self.faults.append(f"status {response.status}: {response.url}")


def sideways(page: Page) -> str | None:
    """What sticks out to the right, if the page scrolls sideways."""
    found: str | None = page.evaluate(
        """() => {
            const root = document.documentElement;
            if (root.scrollWidth <= innerWidth) return null;
            const wide = [...document.querySelectorAll("body *")]
                .find((node) => node.getBoundingClientRect().right > innerWidth + 1);
            const name = `<${wide?.tagName} class="${wide?.className}">`;
            return `${root.scrollWidth} of ${innerWidth} px: ${name}`;
        }"""
    )
    return found


def context(
    browser: Browser, *, width: int, height: int = 900, theme: str = "dark"
) -> BrowserContext:
    """A fresh profile with a window of that size, on a system with that theme."""
    return browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="light" if theme == "light" else "dark",
        locale="en-GB",
        timezone_id="America/New_York",  # nothing may depend on the reader's zone
    )

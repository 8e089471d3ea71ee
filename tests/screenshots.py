"""`python -m tests.screenshots`: every view in both themes and three widths, into screenshots/.

Looks at MOONX_URL, else at what answers on MOONX_PORT, else at a stack of its own. Exits 1 on a
console error, a failed request, a request that leaves the origin, or sideways scroll. With
`--curate` the pictures that the documents show are copied to docs/images.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Route

from moonx.roles import ROOT
from moonx.up.ports import find_ports
from moonx.up.process import wait_until
from tests.browser import chromium

TARGET = ROOT / "screenshots"
IMAGES = ROOT / "docs" / "images"
THEMES = ("dark", "light")
WIDTHS = {1440: 900, 1024: 768, 390: 844}
# What the README and the documents show.
CURATED = ("market-dark-1440", "market-light-1440", "market-dark-390", "docs-http-light-1440")
START_S = 240
STOP_S = 60
SETTLE_MS = 800
DEFAULT_PORT = "8000"

Prepare = Callable[[Page], None]


def nothing(_: Page) -> None:
    """The view is there once its page is."""


def live(page: Page) -> None:
    """Waits for bars and for the connection."""
    page.wait_for_selector("#pill[data-state=live]")
    page.wait_for_selector("#chart-cover", state="hidden")


def tab(name: str) -> Prepare:
    """A live page with that tab of the phone chosen; wider windows show all of them anyway."""

    def chosen(page: Page) -> None:
        live(page)
        page.evaluate(f"document.querySelector('#tabs [data-view={name}]').click()")

    return chosen


def offline(page: Page) -> None:
    """Waits until the page says that it is cut off."""
    page.wait_for_selector("#pill[data-state=waiting]")
    page.wait_for_selector("#chart-cover", state="hidden")


def searching(page: Page) -> None:
    """A search without a match."""
    live(page)
    page.keyboard.press("/")
    page.keyboard.type("nothing like it")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One thing to look at. `cut` has requests of that kind go unanswered."""

    name: str
    path: str
    prepare: Prepare = nothing
    cut: str = ""
    statuses: frozenset[int] = frozenset()


VIEWS = (
    View(name="market", path="/", prepare=live),
    View(name="recorded", path="/#XRPETH/15m", prepare=live),
    View(name="markets", path="/", prepare=tab("markets")),
    View(name="trades", path="/", prepare=tab("tape")),
    View(name="search", path="/", prepare=searching),
    View(name="loading", path="/", cut="klines"),
    View(name="offline", path="/", cut="socket", prepare=offline),
    View(name="docs", path="/docs"),
    View(name="docs-http", path="/docs/http"),
    View(name="docs-ws", path="/docs/ws"),
    View(name="missing", path="/nothing-here", statuses=frozenset({404})),
)


def main() -> int:
    """The exit code."""
    if chromium.executable() is None:
        print("There is no Chromium: install Debian's package chromium.", file=sys.stderr)
        return 1
    TARGET.mkdir(exist_ok=True)
    with origin() as address, chromium.launched() as browser:
        faults = [fault for view in VIEWS for fault in take(browser, address, view)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if "--curate" in sys.argv[1:]:
        curate()
    print(f"{len(VIEWS) * len(THEMES) * len(WIDTHS)} pictures in {TARGET}, {len(faults)} faults")
    return 1 if faults else 0


def take(browser: Browser, address: str, view: View) -> Iterator[str]:
    """Pictures of one view in every theme and width; yields what went wrong."""
    for theme in THEMES:
        watch = chromium.Watch(address, expected_statuses=view.statuses)
        context = chromium.context(browser, width=max(WIDTHS), theme=theme)
        page = context.new_page()
        watch.attach(page)
        held = _cut(page, view.cut)
        page.goto(address + view.path)
        view.prepare(page)
        for width, height in WIDTHS.items():
            name = f"{view.name}-{theme}-{width}"
            print(f"screenshots   | {name}", flush=True)
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=TARGET / f"{name}.png")
            if wide := chromium.sideways(page):
                yield f"{name}: scrolls sideways, {wide}"
        yield from (f"{view.name}-{theme}: {fault}" for fault in watch.faults)
        for route in held:
            route.abort()
        context.close()


def _cut(page: Page, kind: str) -> list[Route]:
    """Has requests go unanswered; returns those that do, as they come."""
    held: list[Route] = []
    if kind == "klines":
        page.route("**/api/v3/klines*", lambda route: held.append(route))  # noqa: PLW0108 - bound methods take no marks
    elif kind == "socket":
        page.route_web_socket("**/ws", lambda socket: socket.close(code=1001))
    return held


def curate() -> None:
    """Copies the pictures that the documents show."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in CURATED:
        shutil.copyfile(TARGET / f"{name}.png", IMAGES / f"{name}.png")


@contextmanager
def origin() -> Iterator[str]:
    """Where to look."""
    running = os.environ.get("MOONX_URL", "").rstrip("/")
    beside = f"http://127.0.0.1:{os.environ.get('MOONX_PORT', DEFAULT_PORT)}"
    if running or fetch(beside):
        yield running or beside
        return
    with tempfile.TemporaryDirectory(prefix="moonx-shots-") as home, own_stack(Path(home)) as own:
        yield own


@contextmanager
def own_stack(home: Path) -> Iterator[str]:
    """A whole stack with the demo, ended afterwards."""
    port = find_ports(home / "page", ["web"])["web"]  # the stack takes its own from `home`
    address = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MOONX_HOME": str(home), "MOONX_PORT": str(port)}
    print(f"screenshots   | starting a stack of its own on {address}", flush=True)
    stack = subprocess.Popen([sys.executable, "-m", "moonx.up"], cwd=ROOT, env=env)
    try:
        wait_until(
            lambda: stack.poll() is not None or has_demo(address), timeout_s=START_S, pause_s=0.5
        )
        if stack.poll() is not None or not has_demo(address):
            raise SystemExit("The stack did not come up: see its lines above.")
        yield address
    finally:
        stack.terminate()
        stack.wait(STOP_S)


def has_demo(address: str) -> bool:
    """Whether the demo's replay has traded."""
    text = fetch(f"{address}/api/v3/ticker/24hr?symbol=XRPRETH&type=MINI")
    return text is not None and json.loads(text)["count"] > 0


def fetch(address: str) -> bytes | None:
    """The answer; None where there is none, or an error."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())

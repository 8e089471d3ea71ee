"""`python -m tests.screenshots`: every view in both themes and three widths, into screenshots/.

Looks at MOONX_URL, else at what answers on MOONX_PORT, else at a stack of its own. Exits 1 on a
console error, a failed request, a request that leaves the origin, or sideways scroll. Names of
views as arguments leave out the others. With `--curate` the pictures that the documents show are
copied to docs/images.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
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
CURATED = (
    *("market-dark-1440", "market-light-1440", "market-dark-390", "docs-http-light-1440"),
    *("trading-dark-1440", "trading-light-1440", "order-dark-390", "depth-dark-1440"),
    *("keys-light-1440", "chains-dark-1440", "chains-dark-390"),
)
TRADED = "/#ETHUSDC/1m"
READER = "alice"
# By what it is seen that a part of the page of chains has come.
PART_READY = {"activity": "#activity-plot canvas", "bridges": "#bridges-rows tr[data-key]"}
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


def sign_in(page: Page) -> None:
    """Signs the demo's first trader in."""
    page.locator("#signin-open").click()
    page.get_by_label("Username").fill(READER)
    page.get_by_label("Password").fill(password())
    page.locator("#signin-button").click()
    page.wait_for_selector("#signin-open", state="hidden")


def trading(page: Page) -> None:
    """Signed in, with a fill and two open orders, one of which ends by itself."""
    live(page)
    sign_in(page)
    page.wait_for_selector("#cost-rates:not(:empty)")
    order(page, side="BUY", type="MARKET", amount="0.0500")
    order(page, side="BUY", price="2650.00", amount="0.8")
    order(page, side="SELL", price="3300.00", amount="1.25", force="GTD", lasts="45")
    page.locator("[name=amount]").fill("2")
    page.evaluate("document.activeElement.blur()")


def order(page: Page, *, side: str, **fields: str) -> None:
    """Places an order with the form; returns when it is known what became of it."""
    page.locator(f"[name=side][value={side}]").check(force=True)
    page.locator("[name=type]").select_option(fields.pop("type", "LIMIT"))
    if "force" in fields:
        page.locator("[name=force]").select_option(fields.pop("force"))
    for name, value in fields.items():
        page.locator(f"#ticket-form [name={name}]").fill(value)
    with page.expect_response("**/api/v3/order"):
        page.locator("#ticket-button").click()


def part(name: str, *, picture: str = "candles") -> Prepare:
    """Signed in, with that tab under the chart."""

    def chosen(page: Page) -> None:
        live(page)
        sign_in(page)
        page.locator(f"#mine-tab-{name}").click()
        page.locator(f"#chart-switch [data-shows={picture}]").click()

    return chosen


def on_phone(view: str) -> Prepare:
    """Signed in, with that tab of the phone."""

    def chosen(page: Page) -> None:
        tab(view)(page)
        sign_in(page)

    return chosen


def asked(page: Page) -> None:
    """The question who reads."""
    live(page)
    page.locator("#signin-open").click()


def refused(page: Page) -> None:
    """An order that cannot be placed, with the reasons at its fields."""
    live(page)
    sign_in(page)
    page.wait_for_selector("#cost-rates:not(:empty)")
    page.locator("[name=price]").fill("2,950")
    page.locator("[name=amount]").fill("0.00001")
    page.locator("#ticket-button").click()


def holder(page: Page) -> None:
    """The page of keys, signed in."""
    sign_in(page)
    page.wait_for_selector("#keys-note.bones", state="hidden")


def key_made(page: Page) -> None:
    """A key that was just made, with its secret; the demo's own, for pictures only."""
    holder(page)
    page.locator("#key-label").fill("market maker")
    page.locator("#key-addresses").fill("203.0.113.7")
    page.locator("#key-button").click()
    page.wait_for_selector("#secret:not([hidden])")


def chains(page: Page) -> None:
    """The page of chains with a card, a row of a bridge, and hours of activity."""
    page.wait_for_selector("#pill[data-state=live]")
    page.wait_for_selector(".chain[data-chain]")
    page.wait_for_selector(".chain .plot canvas", state="attached")


def chains_part(name: str) -> Prepare:
    """The page of chains, scrolled to one of its parts."""

    def scrolled(page: Page) -> None:
        chains(page)
        page.wait_for_selector(PART_READY[name], state="attached")
        page.locator(f"#{name}").evaluate("part => part.scrollIntoView()")

    return scrolled


def chains_offline(page: Page) -> None:
    """The page of chains, cut off from what is live."""
    page.wait_for_selector("#pill[data-state=waiting]")
    page.wait_for_selector(".chain[data-chain]")


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
    View(name="market", path="/#XRPRETH/15m", prepare=live),
    View(name="recorded", path="/#XRPETH/15m", prepare=live),
    View(name="trading", path=TRADED, prepare=trading),
    View(name="depth", path=TRADED, prepare=part("balances", picture="depth")),
    View(name="fills", path=TRADED, prepare=part("fills")),
    View(name="history", path=TRADED, prepare=part("past")),
    View(name="refused", path=TRADED, prepare=refused),
    View(name="order", path=TRADED, prepare=on_phone("trade")),
    View(name="mine", path=TRADED, prepare=on_phone("mine")),
    View(name="signin", path=TRADED, prepare=asked),
    View(name="markets", path="/", prepare=tab("markets")),
    View(name="book", path=TRADED, prepare=tab("book")),
    View(name="search", path="/", prepare=searching),
    View(name="loading", path="/", cut="klines"),
    View(name="offline", path="/", cut="socket", prepare=offline),
    View(name="chains", path="/#chains", prepare=chains),
    View(name="activity", path="/#chains", prepare=chains_part("activity")),
    View(name="bridges", path="/#chains", prepare=chains_part("bridges")),
    View(name="chains-loading", path="/#chains", cut="stats"),
    View(name="chains-offline", path="/#chains", cut="socket", prepare=chains_offline),
    View(name="keys", path="/keys", prepare=holder),
    View(name="key-made", path="/keys", prepare=key_made),
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
        views = chosen_views(sys.argv[1:])
        faults = [fault for view in views for fault in take(browser, address, view)]
    for fault in faults:
        print(fault, file=sys.stderr)
    if "--curate" in sys.argv[1:]:
        curate()
    print(f"{len(views) * len(THEMES) * len(WIDTHS)} pictures in {TARGET}, {len(faults)} faults")
    return 1 if faults else 0


def chosen_views(arguments: Sequence[str]) -> list[View]:
    """The views that were named; all where none was."""
    names = {word for word in arguments if not word.startswith("-")}
    return [view for view in VIEWS if not names or view.name in names]


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
    elif kind == "stats":
        page.route("**/api/v1/stats/**", lambda route: held.append(route))  # noqa: PLW0108 - bound methods take no marks
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
        os.environ["MOONX_HOME"] = home
        yield own


def password() -> str:
    """The demo trader's, as the stack that is looked at made it up or was told."""
    given = os.environ.get("DEMO_PASSWORD")
    if given:
        return given
    lines = Path(os.environ.get("MOONX_HOME", ".moonx"), "credentials").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{READER} "))


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

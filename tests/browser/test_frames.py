"""Every message on a page's socket is what the AsyncAPI document says."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from playwright.sync_api import WebSocket, expect

from apps.realtime.consumers import Gateway
from moonx.core import topics
from moonx.documents.merged import asyncapi
from tests.browser.desk import Desk
from tests.browser.screen import Screen
from tests.browser.site import Stall

SAID, HEARD = "receive", "send"


def payloads(action: str) -> dict[str, list[Draft202012Validator]]:
    """Validators of the messages in one direction, by type; a type may have several forms."""
    document = asyncapi()
    found: dict[str, list[Draft202012Validator]] = {}
    for operation in document["operations"].values():
        if operation["action"] == action:
            for reference in operation["messages"]:
                message = document["components"]["messages"][reference["$ref"].split("/")[-1]]
                schema = {**message["payload"], "components": document["components"]}
                found.setdefault(message["name"], []).append(Draft202012Validator(schema))
    return found


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_every_message_is_as_documented(screen: Screen, stall: Stall) -> None:
    said, heard = listened(screen)
    stall.trade("100.00")
    stall.update_tickers()
    screen.open(stall)
    screen.expect_close("100.00")
    stall.trade("101.00")
    screen.expect_close("101.00")
    screen.page.get_by_role("button", name="1h", exact=True).click()
    screen.expect_close("101.00")
    assert {"ping", "subscribe", "unsubscribe"} <= _all_valid(said, payloads(SAID))
    assert {
        *("auth_required", "subscribed", "unsubscribed", "pong"),
        *("price_update", "trade.executed", "candle.updated", "book.updated"),
    } <= _all_valid(heard, payloads(HEARD))


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_every_message_about_ones_own_is_as_documented(screen: Screen, stall: Stall) -> None:
    other = stall.trader(f"other-{stall.symbol}")
    stall.place(other, "sell", "100.00", "2")
    said, heard = listened(screen)
    desk = Desk.taken(screen, stall)
    desk.fill(price="100.00", amount="3")
    desk.submit()
    desk.expect_said("Bought 2")
    stall.place(other, "sell", "100.00", "0.5")
    expect(desk.rows("orders").first).to_contain_text("2.500 / 3.000")
    desk.rows("orders").first.get_by_role("button", name="Cancel").click()
    expect(desk.rows("orders")).to_have_count(0)
    assert "authenticate" in _all_valid(said, payloads(SAID))
    assert {
        *("auth_success", "balance.updated", "order.accepted", "order.partially_filled"),
        *("order.canceled", "balance.locked", "balance.debited", "balance.credited"),
        *("balance.unlocked", "trade.executed"),
    } <= _all_valid(heard, payloads(HEARD))


def listened(screen: Screen) -> tuple[list[str], list[str]]:
    """What the page's sockets say and hear from now on."""
    said: list[str] = []
    heard: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: said.append(str(frame)))
        socket.on("framereceived", lambda frame: heard.append(str(frame)))

    screen.page.on("websocket", listen)
    return said, heard


def _all_valid(frames: list[str], validators: dict[str, Any]) -> set[str]:
    """The types that were seen, each of them documented and as documented."""
    messages = [json.loads(frame) for frame in frames]
    for message in messages:
        assert message["type"] in validators, message["type"]
        assert any(form.is_valid(message) for form in validators[message["type"]]), message
    return {message["type"] for message in messages}


def test_what_a_client_may_say_is_documented_and_nothing_else() -> None:
    assert set(payloads(SAID)) == set(Gateway.handlers)


def test_every_channel_is_documented_and_nothing_else() -> None:
    documented = {channel["name"].split(":")[0] for channel in asyncapi()["x-channels"]}
    assert documented == {namespace.name for namespace in topics.known()}

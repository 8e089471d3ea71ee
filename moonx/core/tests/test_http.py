"""Who a request comes from, and under which id it is worked on."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from moonx.core import http, logs
from moonx.core.http import CorrelationMiddleware


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1", True), ("", False), ("x" * 65, False), ("a\r\nb", False)]
)
async def test_a_well_formed_request_id_is_kept_and_any_other_replaced(
    given: str, *, kept: bool
) -> None:
    seen = []

    async def view(_: HttpRequest) -> HttpResponse:
        seen.append(logs.correlation_id.get())
        return HttpResponse("")

    request = RequestFactory().get("/")
    request.META["HTTP_X_REQUEST_ID"] = given
    response = await CorrelationMiddleware(view)(request)
    assert response[http.HEADER] == seen[0]
    assert (seen[0] == given) is kept
    assert seen[0]


def test_a_forwarded_address_counts_only_behind_a_trusted_proxy(settings: Settings) -> None:
    settings.ENV = settings.ENV.model_copy(update={"trusted_proxies": ("10.0.0.1",)})
    spoofed = "6.6.6.6, 9.9.9.9"
    assert http.client_ip(peer="8.8.8.8", forwarded_for=spoofed) == "8.8.8.8"
    assert http.client_ip(peer="10.0.0.1", forwarded_for=spoofed) == "9.9.9.9"
    assert http.client_ip(peer="10.0.0.1", forwarded_for=f"{spoofed}, 10.0.0.1") == "9.9.9.9"
    assert http.client_ip(peer="10.0.0.1", forwarded_for="") == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("a\r\nb", "unknown"),
    ],
)
def test_limits_count_one_customer_by_one_name(address: str, group: str) -> None:
    assert http.address_group(address) == group


def test_the_inside_is_hidden_from_outside() -> None:
    view = http.inside_only(lambda _: HttpResponse("inside"))
    assert view(RequestFactory().get("/", REMOTE_ADDR="127.0.0.1")).content == b"inside"
    assert view(RequestFactory().get("/", REMOTE_ADDR="8.8.8.8")).status_code == 404

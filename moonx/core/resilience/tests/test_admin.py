"""Circuits in the admin: seen, opened, closed and reset, each with who and why."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from moonx.core.models import Circuit, CircuitEvent
from moonx.core.resilience.tests.desk import TARGET, fail, held_back, succeed

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

WHY = {"reason": "their status page says so", "_form_submitted": "True"}
PAGE = "/admin/core/circuit/rpc.example_3Abase_3Aread/"


@pytest.fixture
def staff(committed_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ops"))
    return client


@pytest.fixture
def reader(committed_db: None) -> Client:
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__startswith="view_circuit"))
    client = Client()
    client.force_login(user)
    return client


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    text: str = answer.content.decode()
    return text


def test_an_operator_opens_closes_and_resets_a_circuit_with_a_reason(staff: Client) -> None:
    fail(times=5)
    shown = text_of(staff, f"{PAGE}change/")
    assert "consecutive: 5 of 5 failed" in shown
    assert re.search(r"in [4-7]\d s", shown)
    for path, state in (("open", "OPEN"), ("close", "CLOSED"), ("reset", "CLOSED")):
        assert staff.post(f"{PAGE}{path}/", WHY).status_code == 302
        assert Circuit.objects.get().state == state
        (held_back if state == "OPEN" else succeed)()
    assert staff.post(f"{PAGE}close/", WHY).status_code == 302
    assert "was closed already" in text_of(staff, f"{PAGE}change/")
    told = CircuitEvent.objects.order_by("version").values_list("by", "reason")
    assert list(told) == [("", ""), *[("ops", "their status page says so")] * 3]
    assert "their status page says so" in text_of(staff, f"{PAGE}change/")
    assert "their status page says so" in text_of(staff, "/admin/core/circuitevent/?by=operators")


def test_a_reason_is_needed_and_who_may_only_look_changes_nothing(
    staff: Client, reader: Client
) -> None:
    succeed()
    assert staff.post(f"{PAGE}open/", {"_form_submitted": "True"}).status_code == 200
    assert reader.post(f"{PAGE}open/", WHY).status_code == 403
    assert "Reset" not in text_of(reader, f"{PAGE}change/")
    assert Circuit.objects.get().version == 0


@pytest.mark.parametrize(("state", "count"), [("open", 1), ("held", 0), ("closed", 0)])
def test_circuits_are_found_by_state(staff: Client, state: str, count: int) -> None:
    fail(times=5)
    shown = staff.get("/admin/core/circuit/", {"state": state})
    assert [row.target for row in shown.context["cl"].result_list] == [TARGET] * count

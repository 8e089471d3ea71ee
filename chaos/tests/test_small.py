"""The slice of the kill test that every test run takes: seconds, and each seeded bug is found."""

import pytest

from chaos import small
from chaos.bugs import TELLTALE, Bug
from chaos.nursery import Nursery

pytestmark = [
    pytest.mark.usefixtures("committed_db", "clean_valkey"),
    pytest.mark.xdist_group("kills"),
]


def test_nothing_is_lost_or_doubled_when_writers_and_relay_are_killed(nursery: Nursery) -> None:
    found = small.run(nursery, Bug.NONE, seed=1, kills=8)
    assert found.ok, found.sentences


@pytest.mark.parametrize("bug", TELLTALE)
def test_a_seeded_bug_is_found(nursery: Nursery, bug: Bug) -> None:
    found = small.run(nursery, bug, seed=2)
    assert any(TELLTALE[bug] in sentence for sentence in found.sentences), found.sentences

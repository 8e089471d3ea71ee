"""The slice of the hammering that every test run takes."""

import pytest

from chaos import probes
from chaos.nursery import Nursery
from chaos.probers import BUGS, ProbeBug
from moonx.core.resilience import circuits

pytestmark = [
    pytest.mark.usefixtures("committed_db", "clean_valkey"),
    pytest.mark.xdist_group("kills"),
]

PROCESSES = 6


def test_one_process_of_many_probes_whatever_valkey_forgets(nursery: Nursery) -> None:
    found, done = probes.run(nursery, n=10, processes=PROCESSES)
    assert found.ok, found.sentences
    assert done.held_back >= 10 * (PROCESSES - 1)
    circuits.forget()


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_found(nursery: Nursery, bug: ProbeBug) -> None:
    found, _ = probes.run(nursery, n=5, bug=bug, processes=PROCESSES)
    assert any(probes.ONE_PROBE in sentence for sentence in found.sentences), found.sentences

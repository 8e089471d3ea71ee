"""Tests that share what is dear run on one worker."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process is one group")
@pytest.mark.xdist_group("together")
def test_a_group_is_known_to_who_spreads_the_tests(request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith("@together")

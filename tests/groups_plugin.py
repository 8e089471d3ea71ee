"""Keeps the tests of one `xdist_group` on one worker, one after the other.

pytest-xdist 3.8 writes a group into the place where pytest kept an id before 9.2: without this the
groups would be scattered, and fixtures that they share would be made twice.
"""

import pytest
from _pytest.nodeid import NodeId


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Takes over the id that xdist wrote, the group's name at its end."""
    for item in items:
        grouped = vars(item).get("_nodeid")
        if grouped is not None:
            item._id = NodeId.parse(grouped)

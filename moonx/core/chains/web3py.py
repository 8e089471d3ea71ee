"""web3.py, imported without what that changes for the whole process; import it from here only.

A package below it (py_ecc) raises the recursion limit to 100,000. A JSON text of that many
brackets, which any caller or upstream may send, would then overflow the stack and end the process,
where it is a RecursionError by default.
"""

import sys

_limit = sys.getrecursionlimit()
from web3 import HTTPProvider, Web3  # noqa: E402 # the limit is read before

sys.setrecursionlimit(_limit)

__all__ = ["HTTPProvider", "Web3"]

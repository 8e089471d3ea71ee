"""`python -m benchmarks.chain_node TRANSACTIONS BLOCKS`: a node in a process of its own.

It serves blocks of recorded shape, made before it says on which address.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen

from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import LyingServer
from moonx.core.chains.tests import recorded
from moonx.up.chain import ROOT

CHAIN_ID = 1
FIRST = 17_000_000


@contextmanager
def serving(*, transactions: int, blocks: int) -> Iterator[str]:
    """Blocks from FIRST on, at this URL while the block lasts."""
    command = [sys.executable, "-m", "benchmarks.chain_node", str(transactions), str(blocks)]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as node:
        assert node.stdout is not None
        try:
            url = node.stdout.readline().strip()
            if not url:
                raise RuntimeError("the node did not start: its error stands above")
            yield url
        finally:
            node.kill()


def main() -> None:
    """Serves until its standard input ends."""
    transactions, blocks = (int(argument) for argument in sys.argv[1:])
    chain = GeneratedChain(
        chain_id=CHAIN_ID,
        first=FIRST,
        transactions=transactions,
        people=50_000,
        templates=recorded.block()["transactions"],
    )
    chain.mine(blocks - 1)
    for number in range(FIRST, FIRST + blocks):
        chain.encoded(number, is_whole=True)
    with LyingServer(chain) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

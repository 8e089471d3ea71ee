"""Demo traffic on the embedded node: made-up addresses send each other play money.

It runs as `python -m moonx.up.traffic URL`, beside the node that `up` started, and waits for it
where it is away. What a block brings follows from its number, so two runs do the same.
"""

import http.client
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from types import FrameType
from typing import Any

CHAIN_ID = 31337
PROGRAM = "anvil/"
LOOK_EVERY_S = 0.5
TIMEOUT_S = 10.0
FIRST_ADDRESSES, MOST_ADDRESSES = 30, 4_000
BLOCKS_PER_ADDRESS = 2
MOST_TRANSFERS = 4
# Anvil writes all its blocks down each second: a chain that grows old goes on more quietly.
BUSY_BLOCKS = 1_800
FUNDS_WEI = 10**18
MOST_SENT_WEI = 10**16
TRANSFER_GAS, CREATION_GAS = 21_000, 120_000
REVERTING_CODE = "0x60006000fd"
# Gives back REVERTING_CODE, which thus becomes the contract.
CREATING_CODE = "0x6005600c60003960056000f360006000fd"

Call = tuple[str, list[Any]]
Transaction = dict[str, str]


class NodeAway(Exception):
    """The node did not answer, or refused a call. Transient: it is asked again."""


class WrongNode(Exception):
    """What answers is not the embedded node; nothing is sent to it. Permanent."""


def address(number: int) -> str:
    """The made-up address of that number, the same in every run; nobody has its key."""
    return "0x" + blake2b(b"moonx demo address %d" % number, digest_size=20).hexdigest()


REVERTING = address(-1)


def population(block: int) -> int:
    """How many addresses take part by that block: a few more every minute, up to a limit."""
    return min(FIRST_ADDRESSES + block // BLOCKS_PER_ADDRESS, MOST_ADDRESSES)


def wave(block: int) -> list[Transaction]:
    """What is sent once that block stands: transfers, now and then a creation or a failing call.

    Low numbers send often, high ones seldom, as regulars and strangers do.
    """
    chance = Random(block)  # noqa: S311 - play
    known = population(block)
    is_busy = block < BUSY_BLOCKS
    count = chance.randint(1, MOST_TRANSFERS) if is_busy else chance.randint(0, 1)
    sent = [_transfer(chance, known) for _ in range(count)]
    rare = 1 if is_busy else 10
    if block % (9 * rare) == 1:
        sent.append(_sent(chance, known, data=CREATING_CODE, gas=CREATION_GAS))
    if block % (6 * rare) == 2:
        sent.append(_sent(chance, known, to=REVERTING, gas=CREATION_GAS))
    return sent


def _transfer(chance: Random, known: int) -> Transaction:
    to, value = address(chance.randrange(known)), chance.randint(1, MOST_SENT_WEI)
    return _sent(chance, known, to=to, value=hex(value), gas=TRANSFER_GAS)


def _sent(chance: Random, known: int, *, gas: int, **rest: str) -> Transaction:
    sender = address(int(known * chance.random() ** 2))
    return {"from": sender, "gas": hex(gas), **rest}


@dataclass(frozen=True, slots=True)
class Node:
    """The embedded node, by its address."""

    url: str

    def ask(self, calls: Sequence[Call]) -> list[Any]:
        """The results in the order of the calls; NodeAway where one is missing."""
        body = [
            {"jsonrpc": "2.0", "id": place, "method": method, "params": params}
            for place, (method, params) in enumerate(calls)
        ]
        request = urllib.request.Request(  # noqa: S310 - the node that `up` started
            self.url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
                replies = {one["id"]: one for one in json.load(reply)}
            return [_result(replies[place]) for place in range(len(calls))]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise NodeAway(type(error).__name__) from error

    def height(self) -> int:
        """The number of the newest block; WrongNode if it is not the embedded node's."""
        version, chain, height = self.ask(
            [("web3_clientVersion", []), ("eth_chainId", []), ("eth_blockNumber", [])]
        )
        if not str(version).startswith(PROGRAM) or int(chain, 16) != CHAIN_ID:
            raise WrongNode(f"{self.url} is no anvil of chain {CHAIN_ID}: no demo traffic there.")
        return int(height, 16)

    def send(self, transactions: Sequence[Transaction]) -> list[str]:
        """Their hashes. Before, every sender is given funds, and the node lets anybody send.

        Both are said each time: a node that was started again remembers neither.
        """
        if not transactions:
            return []
        senders = {one["from"] for one in transactions}
        self.ask(
            [
                ("anvil_autoImpersonateAccount", [True]),
                ("anvil_setCode", [REVERTING, REVERTING_CODE]),
                *(("anvil_setBalance", [sender, hex(FUNDS_WEI)]) for sender in sorted(senders)),
            ]
        )
        return self.ask([("eth_sendTransaction", [one]) for one in transactions])


def _result(reply: dict[str, Any]) -> Any:
    if "error" in reply:
        raise NodeAway(str(reply["error"].get("message", "a refusal"))[:200])
    return reply["result"]


def run(node: Node, *, wait: Callable[[float], bool], say: Callable[[str], None]) -> None:
    """Sends one wave for each new block until `wait` says to stop; WrongNode ends it.

    A trouble is said when it begins and when it is over, not each time.
    """
    seen, trouble = -1, ""
    while not wait(LOOK_EVERY_S):
        try:
            height = node.height()
            if height != seen:
                seen = height
                node.send(wave(height))
            found = ""
        except NodeAway as error:
            found = str(error)
        if found != trouble:
            say(f"demo traffic waits: {found}" if found else "demo traffic goes on")
            trouble = found


def main(url: str) -> int:
    """Runs until TERM or INT; the exit code."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        run(Node(url), wait=stop.wait, say=lambda text: print(text, flush=True))
    except WrongNode as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

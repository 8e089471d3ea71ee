"""`python -m benchmarks.clients`: clients of the order API, each on one connection kept open.

Reads what to do as one line of JSON, answers with one; a process of its own, so that it shares
no interpreter with the servers.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from typing import Any
from urllib.parse import urlencode


def main() -> None:
    """Serves task after task until the input ends."""
    for line in sys.stdin:
        print(json.dumps(asyncio.run(run(json.loads(line)))), flush=True)


async def run(task: dict[str, Any]) -> dict[str, Any]:
    """All clients at once, each sending its orders one after the other."""
    replies: list[dict[str, Any]] = []
    clients = [Client(task["port"], **login) for login in task["logins"]]
    for client in clients:
        await client.open()
    started_s = time.perf_counter()
    await asyncio.gather(
        *(
            client.send(task["orders"][place :: len(clients)], replies)
            for place, client in enumerate(clients)
        )
    )
    elapsed_s = time.perf_counter() - started_s
    for client in clients:
        client.close()
    return {"elapsedS": elapsed_s, "replies": replies}


class Client:
    """One user with an API key."""

    def __init__(self, port: int, *, key: str, secret: str) -> None:
        self._port, self._key, self._secret = port, key, secret.encode()

    async def open(self) -> None:
        """Connects."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    def close(self) -> None:
        """Hangs up."""
        self._writer.close()

    async def send(self, orders: list[dict[str, str]], replies: list[dict[str, Any]]) -> None:
        """Places the orders, waiting for each reply."""
        for order in orders:
            started_s = time.perf_counter()
            self._writer.write(self._request(order))
            status, body = await self._answer()
            replies.append(
                {
                    "id": order["newClientOrderId"],
                    "status": status,
                    "ms": (time.perf_counter() - started_s) * 1000,
                    "atMs": time.time() * 1000,
                    **({} if status == 200 else {"body": body.decode()}),
                }
            )

    def _request(self, order: dict[str, str]) -> bytes:
        body = urlencode({**order, "recvWindow": 60_000, "timestamp": int(time.time() * 1000)})
        signature = hmac.new(self._secret, body.encode(), hashlib.sha256).hexdigest()
        body += f"&signature={signature}"
        return (
            f"POST /api/v3/order HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"X-MBX-APIKEY: {self._key}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def _answer(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        return int(head.split(" ")[1]), await self._reader.readexactly(length)


if __name__ == "__main__":
    main()

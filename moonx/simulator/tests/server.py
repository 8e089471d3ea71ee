"""A simulator of a test's own, on a free port, in a thread of the test's process."""

import threading
import time
from types import TracebackType
from typing import Any, Self

import uvicorn

from moonx.core.upstream import http
from moonx.simulator.site import Site
from moonx.up.ports import free_port


class Simulator:
    """Runs within the block; `url` is what SIMULATOR_URL would be."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = uvicorn.Config(
            Site(), host="127.0.0.1", port=port, lifespan="off", log_level="critical", ws="none"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def order(self, **wanted: Any) -> Any:
        """Changes moods, or begins anew with `seed`; what the simulator then is like."""
        return http.post_json(f"{self.url}/_control", wanted, server="simulator", timeout_s=5)

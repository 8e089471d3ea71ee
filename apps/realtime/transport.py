"""uvicorn's WebSocket protocol, with a way to end a connection whose client does not read."""

from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

ABORT = "moonx.abort"


class Protocol(WebSocketsSansIOProtocol):
    """Offers the application `scope["extensions"]["moonx.abort"]`: ends the connection at once.

    A close message waits behind everything that the client has not read, possibly for ever.
    """

    async def run_asgi(self) -> None:
        """Serves one connection."""
        extensions = cast("dict[str, Any]", self.scope["extensions"])
        extensions[ABORT] = self.transport.abort
        await super().run_asgi()

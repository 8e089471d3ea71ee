"""Whether a web server on this machine answers."""

import http.client


def answers(port: int, path: str) -> bool:
    """Whether GET on loopback gives 200 within half a second."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""How a call to somebody else's server fails, and whose fault that is."""

from enum import StrEnum


class Fault(StrEnum):
    """The classes that failures are counted by."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    SERVER = "server"  # 5xx, or the server says that it failed
    MALFORMED = "malformed"  # HTML with 200, half a body, wrong types, another reply's id
    TOO_LARGE = "tooLarge"  # more bytes than are taken
    REDIRECTED = "redirected"  # never followed
    AUTHENTICATION = "authentication"  # no key, a wrong one, or an unpaid one
    WRONG_CHAIN = "wrongChain"
    RATE_LIMITED = "rateLimited"  # we asked too often
    REFUSED = "refused"  # what we asked cannot be done: 4xx, no such method, a revert
    NO_RESULT = "noResult"  # a fair answer: there is none, no route, say
    HELD_BACK = "heldBack"  # not asked at all: the circuit is open or the budget is spent


# What says something about the server, and opens its circuit.
OF_THE_SERVER = frozenset(
    {
        Fault.TIMEOUT,
        Fault.CONNECTION,
        Fault.SERVER,
        Fault.MALFORMED,
        Fault.TOO_LARGE,
        Fault.REDIRECTED,
        Fault.AUTHENTICATION,
        Fault.WRONG_CHAIN,
    }
)
TRANSIENT = frozenset(
    {Fault.TIMEOUT, Fault.CONNECTION, Fault.SERVER, Fault.RATE_LIMITED, Fault.HELD_BACK}
)


class CallFailed(Exception):
    """A call that brought nothing. The message names the server without any secret.

    `retry_after_s` is what the server, or our own limit, asks to wait; 0 where neither does.
    """

    def __init__(self, message: str, *, fault: Fault, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after_s = retry_after_s

    @property
    def is_transient(self) -> bool:
        """Whether the same call may well succeed a little later."""
        return self.fault in TRANSIENT

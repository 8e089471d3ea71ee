"""What `/api/v3` answers when it cannot do what was asked: Binance's codes and sentences.

ApiError                 {"code", "msg"}, HTTP 400 unless said otherwise
├── TooManyRequests      429 with Retry-After (transient)
├── TooManyOrders        429 with Retry-After (transient)
├── Unauthorized         401: nobody known signed it (permanent)
└── everything else      the request must change (permanent)
"""

from typing import Any, NoReturn

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI

from moonx.core import logs

log = logs.get("moonx.api")


class ApiError(Exception):
    """An answer that is an error: its code, its sentence, its HTTP status, and what came of the
    parts where only some failed."""

    def __init__(
        self, code: int, message: str, *, status: int = 400, data: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.data = code, message, status, data

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"code": self.code, "msg": self.message} | ({"data": self.data} if self.data else {})

    def response(self) -> HttpResponse:
        """The answer as it goes out; nobody keeps it."""
        return JsonResponse(self.body(), status=self.status, headers={"Cache-Control": "no-store"})


class TooManyRequests(ApiError):
    """The address used up its request weight of this minute."""

    def __init__(self, *, limit: int, retry_after_s: int) -> None:
        super().__init__(
            -1003,
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
        )
        self.retry_after_s = retry_after_s

    def response(self) -> HttpResponse:
        """As for every error, and when to come back."""
        answer = super().response()
        answer["Retry-After"] = str(self.retry_after_s)
        return answer


class TooManyOrders(ApiError):
    """The user placed as many orders as anybody may in that time."""

    def __init__(self, *, limit: int, interval: str, retry_after_s: int) -> None:
        text = f"Too many new orders; current limit is {limit} orders per {interval}."
        super().__init__(-1015, text, status=429)
        self.retry_after_s = retry_after_s

    def response(self) -> HttpResponse:
        """As for every error, and when to come back."""
        answer = super().response()
        answer["Retry-After"] = str(self.retry_after_s)
        return answer


class Unauthorized(ApiError):
    """The request is nobody's whom we know, or it may not do this."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message, status=401)

    def response(self) -> HttpResponse:
        """As for every error, and what would be accepted."""
        answer = super().response()
        answer["WWW-Authenticate"] = "Bearer"
        return answer


def illegal(name: str, legal: str) -> ApiError:
    """-1100: a value that is not spelled as it must be."""
    return ApiError(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
    )


def too_many(*, expected: int, received: int) -> ApiError:
    """-1101: parameters that the path does not know."""
    return ApiError(-1101, f"Too many parameters; expected '{expected}' and received '{received}'.")


def repeated(name: str) -> ApiError:
    """-1101: a parameter sent twice."""
    return ApiError(-1101, f"Duplicate values for parameter '{name}' detected.")


def missing(name: str) -> ApiError:
    """-1102."""
    return ApiError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def empty(name: str) -> ApiError:
    """-1105."""
    return ApiError(-1105, f"Parameter '{name}' was empty.")


def neither(one: str, other: str) -> ApiError:
    """-1102: one of two parameters is needed."""
    return ApiError(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def not_required(name: str) -> ApiError:
    """-1106: a parameter that does not go with the others."""
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def too_precise(name: str) -> ApiError:
    """-1111: more decimals than the asset has."""
    return ApiError(-1111, f"Parameter '{name}' has too much precision.")


def invalid(name: str) -> ApiError:
    """-1130: well spelled, but not a value the parameter can have."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


BAD_TIF = (-1115, "Invalid timeInForce.")
BAD_TYPE = (-1116, "Invalid orderType.")
BAD_SIDE = (-1117, "Invalid side.")
BAD_INTERVAL = (-1120, "Invalid interval.")
BAD_SYMBOL = (-1121, "Invalid symbol.")
BAD_STATUS = (-1122, "Invalid symbolStatus.")
TOO_LONG_APART = (-1127, "More than 24 hours between startTime and endTime.")
BAD_COMBINATION = (-1128, "Combination of optional parameters invalid.")
SYMBOL_TWICE = (-1151, "Symbol is present multiple times in the list.")
BAD_WINDOW = (-1131, "recvWindow must be less than 60000.")
BAD_RESTRICTION = (-1145, "Invalid cancelRestrictions")
TOO_LATE = (-1021, "Timestamp for this request is outside of the recvWindow.")
TOO_EARLY = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
BAD_SIGNATURE = (-1022, "Signature for this request is not valid.")
UNKNOWN_ORDER = (-2011, "Unknown order sent.")
NO_SUCH_ORDER = (-2013, "Order does not exist.")
OTHER_STATUS = (-1220, "The symbol's status does not match the requested symbolStatus.")


def fail(known: tuple[int, str]) -> NoReturn:
    """Raises the error with that code and sentence."""
    raise ApiError(*known)


@csrf_exempt
def no_such_path(_: HttpRequest, *__: Any, **___: Any) -> HttpResponse:
    """404 as JSON, for every path below /api/v3 that is not one."""
    text = "There is no such path; /docs/http lists all of them."
    return ApiError(-1000, text, status=404).response()


def install(api: NinjaAPI) -> None:
    """Makes `api` answer what nobody expected in the same form as any error."""
    api.add_exception_handler(Exception, _unexpected)
    api.add_exception_handler(OperationalError, _unreachable)
    api.add_exception_handler(InterfaceError, _unreachable)


def _unexpected(request: HttpRequest, error: Any) -> HttpResponse:
    log.exception("request failed", path=request.path, exc_info=error)
    text = "An unknown error occurred while processing the request."
    return ApiError(-1000, text, status=500).response()


def _unreachable(request: HttpRequest, error: Any) -> HttpResponse:
    log.error("database does not answer", path=request.path, error=type(error).__name__)
    text = "Internal error; unable to process your request. Please try again."
    return ApiError(-1001, text, status=503).response()

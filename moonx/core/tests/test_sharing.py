"""A burst of equal requests is one look at the rows, and nobody gets what another one asked for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from moonx.core import sharing, valkey, weights
from moonx.core.sharing import Sharing

pytestmark = pytest.mark.usefixtures("clean_valkey")

Answer = tuple[int, dict[str, str], bytes]
ADDRESS = "192.0.2.7"


@pytest.fixture(autouse=True)
def _nobody_known() -> None:
    weights.forget()


class Site:
    """Counts a request and answers with what it asks for, after a moment."""

    def __init__(self, **headers: str) -> None:
        self.asked: list[str] = []
        self.status, self.now_s = 200, 0.0
        self.body: Callable[[Any], str] = lambda scope: f"{scope['path']}?{scope['query_string']}"
        self.headers = {"ETag": 'W/"a"', "X-Request-Weight": "2", **headers}
        self.sharing = Sharing(self, clock=lambda: self.now_s)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        self.asked.append(scope["path"])
        await asyncio.sleep(0.01)
        named = {**self.headers, "X-Request-ID": f"made-{len(self.asked)}"}
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        try:
            weights.spend_of(ADDRESS, 2)
            status = self.status
        except weights.UsedUp:
            status = 429
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body(scope).encode()})

    async def get(self, target: str = "/a", *, method: str = "GET", **headers: str) -> Answer:
        """The answer to a request with such headers."""
        path, _, query = target.partition("?")
        named = {"host": "localhost", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
            ],
            "client": (ADDRESS, 1),
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self.sharing(scope, None, send)  # type: ignore[arg-type]
        found = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], found, b"".join(one.get("body", b"") for one in sent[1:])

    async def burst(self, count: int, **headers: str) -> list[Answer]:
        """The answers to so many equal requests at once."""
        return await asyncio.gather(*(self.get(**headers) for _ in range(count)))


async def test_a_burst_is_one_look_and_what_it_found_stands_for_a_quarter_of_a_second() -> None:
    site = Site()
    answers = await site.burst(20)
    assert {(status, body) for status, _, body in answers} == {(200, b"/a?b''")}
    site.now_s = sharing.FRESH_S - 0.01
    await site.get()
    assert len(site.asked) == 1
    site.now_s = sharing.FRESH_S
    await site.get()
    assert len(site.asked) == 2


async def test_what_is_asked_for_otherwise_is_never_answered_with_the_same() -> None:
    site = Site()
    site.body = lambda scope: f"{scope['path']}?{scope['query_string'].decode()}"
    targets = [
        *("/a", "/b", "/a?x=1", "/a?x=2", "/a?x=1&y=2", "/a?y=2&x=1", "/A", "/a/", "/a?x=%31")
    ]
    for _ in range(2):
        answers = await asyncio.gather(*(site.get(target) for target in targets))
        assert [body.decode().rstrip("?") for _, _, body in answers] == targets
    assert len(site.asked) == len(targets)


@pytest.mark.parametrize("name", ["host", "x_forwarded_host", "x_forwarded_proto"])
async def test_another_host_or_scheme_is_another_question(name: str) -> None:
    site = Site()
    await site.get()
    await site.get(**{name: "other"})
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("status", "without"),
    [(400, ""), (429, ""), (503, ""), (200, "ETag"), (200, "X-Request-Weight")],
)
async def test_errors_and_what_does_not_say_that_it_may_be_are_not_shared(
    status: int, without: str
) -> None:
    site = Site()
    site.status = status
    site.headers.pop(without, None)
    answers = await site.burst(3)
    assert [answer[0] for answer in answers] == [status] * 3
    site.status = 200
    assert (await site.get())[0] == 200
    assert len(site.asked) == 4


async def test_who_has_the_answer_gets_none_and_others_the_whole_of_it() -> None:
    site = Site()
    held = {"if_none_match": '"a"'}
    first, whole, again = await site.get(**held), await site.get(), await site.get(**held)
    assert [answer[0] for answer in (first, whole, again)] == [304, 200, 304]
    assert (first[2], again[2], whole[2]) == (b"", b"", b"/a?b''")
    assert again[1]["etag"] == 'W/"a"'
    assert (await site.get(if_none_match='"b"'))[0] == 200
    assert len(site.asked) == 1


async def test_each_answer_bears_the_id_of_its_own_request() -> None:
    site = Site()
    assert (await site.get())[1]["x-request-id"] == "made-1"
    assert (await site.get(x_request_id="trace-7"))[1]["x-request-id"] == "trace-7"
    others = [(await site.get(x_request_id="a b"))[1]["x-request-id"] for _ in range(2)]
    assert len({*others, "made-1", "a b"}) == 4


@pytest.mark.parametrize("other", [{"method": "POST"}, {"content_length": "2"}])
async def test_what_is_no_plain_question_is_served_alone(other: dict[str, str]) -> None:
    site = Site()
    await site.get()
    await site.get(**other)
    assert len(site.asked) == 2


async def test_shared_answers_count_and_beyond_the_limit_there_are_none(settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(
        update={"rate_limit_weight_per_minute": 200, "rate_limit_enabled": True}
    )
    site = Site()
    answers = [await site.get() for _ in range(50)] + await site.burst(51)
    # 2 each: as many as without sharing, and the last one was left to the site to refuse.
    assert [status for status, _, _ in answers].count(200) == 100
    assert [status for status, _, _ in answers].count(429) == 1
    assert len(site.asked) == 2


async def test_the_server_counts_all_that_was_spent_ahead(settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update={"rate_limit_weight_per_minute": 6_000})
    site = Site()
    await site.get()
    for _ in range(200):
        await site.get()
    (key,) = valkey.client().keys(valkey.key(f"weight:{ADDRESS}:*"))
    assert 402 - 6_000 // weights.AHEAD_SHARE <= int(valkey.client().get(key) or 0) < 402
    assert weights.spend_of(ADDRESS, 0) == 402


async def test_who_goes_away_leaves_the_others_their_answer() -> None:
    site = Site()
    first = asyncio.create_task(site.get())
    await asyncio.sleep(0)
    others = asyncio.gather(site.get(), site.get())
    await asyncio.sleep(0)
    first.cancel()
    assert [answer[0] for answer in await others] == [200, 200]


async def test_no_more_is_kept_than_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST", 3)
    site = Site()
    for target in ("/1", "/2", "/3", "/4", "/4", "/2", "/1"):
        await site.get(target)
    assert site.asked == ["/1", "/2", "/3", "/4", "/1"]
    monkeypatch.setattr(sharing, "MOST_BYTES", 11)
    for target in ("/5", "/6", "/6", "/5"):
        await site.get(target)
    assert site.asked[5:] == ["/5", "/6", "/5"]

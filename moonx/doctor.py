"""What an operator asks when something is amiss: each question answered in one line."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import psycopg
from django.conf import settings
from django.db import DatabaseError
from django.db.models.functions import Now
from redis import RedisError

from apps.exchange import freshness
from apps.exchange.ledger import reconcile
from apps.exchange.models import Journal, Market, MarketStatus, Trade
from moonx import schedule
from moonx.core import abreast, clock, presence, startup, valkey
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.chains.reader import Reader
from moonx.core.models import Cursor, OutboxEvent, PublishedEvent
from moonx.core.upstream import endpoints, http
from moonx.core.upstream.faults import CallFailed
from moonx.core.upstream.names import Service, Standing
from moonx.settings import former
from moonx.settings.env import QUEUES

WAITED_TOO_LONG = timedelta(seconds=10)
LONG_QUEUE = 1_000
LOOKED_LATELY = timedelta(minutes=5)  # a run each minute, and some that were lost


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer; `advice` says what to do unless all is well."""

    level: Level
    subject: str
    sentence: str
    advice: str = ""


def ok(subject: str, sentence: str) -> Finding:
    return Finding(level=Level.OK, subject=subject, sentence=sentence)


def warn(subject: str, sentence: str, advice: str) -> Finding:
    return Finding(level=Level.WARN, subject=subject, sentence=sentence, advice=advice)


def fail(subject: str, sentence: str, advice: str) -> Finding:
    return Finding(level=Level.FAIL, subject=subject, sentence=sentence, advice=advice)


def examine() -> Iterator[Finding]:
    """Every answer, in the order in which faults cause each other.

    What needs a store that does not answer is left out: that store is the fault.
    """
    stores = [_database(), _server("broker"), _server("cache")]
    yield from stores
    alive = {finding.subject for finding in stores if finding.level is Level.OK}
    yield from _former_settings()
    for needs, question in QUESTIONS:
        if needs <= alive:
            yield from _answer(question)


def _answer(question: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    name = question.__name__.strip("_").replace("_", " ")
    try:
        yield from question()
    except DatabaseError as error:
        first_line = str(error).strip().splitlines()[0]
        yield fail(name, f"The question failed: {first_line}", "Run `manage.py migrate`.")
    except (RedisError, OSError) as error:
        yield fail(name, f"The server went away: {type(error).__name__}", "Ask again.")


def _database() -> Finding:
    advice = "Start PostgreSQL, or correct DATABASE_URL."
    if not settings.ENV.database_dsn():
        return fail("database", "No database is configured.", "Set DATABASE_URL, or start `up`.")
    try:
        with psycopg.connect(settings.ENV.database_dsn(), connect_timeout=5) as server:
            version = server.info.server_version // 10_000
    except psycopg.Error as error:
        return fail("database", f"It does not answer ({type(error).__name__}).", advice)
    return ok("database", f"PostgreSQL {version} answers.")


def _server(name: str) -> Finding:
    url = settings.ENV.broker_dsn() if name == "broker" else settings.ENV.cache_dsn()
    variable = f"{name.upper()}_URL"
    if not url:
        return fail(name, "None is configured.", f"Set {variable}, or start `up`.")
    try:
        with valkey.connect(url) as server:
            server.ping()
    except (RedisError, OSError) as error:
        return fail(
            name,
            f"It does not answer ({type(error).__name__}).",
            f"Start the Valkey behind {variable}, or correct the address.",
        )
    return ok(name, "It answers.")


def _former_settings() -> Iterator[Finding]:
    for name, why in sorted(former.ignored_in(dict(os.environ)).items()):
        yield warn("former settings", f"{name} is set and has no effect.", f"Unset it: {why}.")


def _outside_services() -> Iterator[Finding]:
    """Who answers for what the chains do not tell."""
    found: dict[Standing, list[str]] = {standing: [] for standing in Standing}
    for service in Service:
        found[endpoints.standing(service)].append(service)
    told = [f"{standing}: {', '.join(names)}" for standing, names in found.items() if names]
    yield ok("outside services", f"{'; '.join(told).capitalize()}.")
    if found[Standing.SIMULATED]:
        yield _simulator(len(found[Standing.SIMULATED]))


def _simulator(count: int) -> Finding:
    try:
        http.get_json(f"{settings.ENV.simulator_url}/_health", server="It", timeout_s=3)
    except CallFailed as failure:
        return fail(
            "simulator",
            f"{count} services are left to it. {failure}",
            "Start it: MOONX_ROLE=simulator python manage.py run; or unset SIMULATOR_URL for the "
            "real services.",
        )
    url = endpoints.shown(settings.ENV.simulator_url)
    if settings.IS_DEVELOPMENT:
        return ok("simulator", f"It answers on {url}; what it feeds is labelled simulated.")
    return warn(
        "simulator",
        f"It answers on {url} for {count} services: what is told of them is made up.",
        "Set their addresses or keys, or unset SIMULATOR_URL.",
    )


def _two_servers() -> Iterator[Finding]:
    if _run_id(settings.ENV.broker_dsn()) == _run_id(settings.ENV.cache_dsn()):
        yield warn(
            "two servers",
            "One server holds both messages and pushes: filling it with one stops the other.",
            "Set BROKER_URL (AOF on, noeviction) and CACHE_URL to two servers.",
        )


def _run_id(url: str) -> str:
    with valkey.connect(url) as server:
        info: dict[str, str] = server.info("server")
    return info["run_id"]


def _safety() -> Iterator[Finding]:
    reasons = list(startup.check("monolith"))
    for reason in reasons:
        yield fail("safety", reason, "Roles refuse to start until this is changed.")
    if not reasons:
        yield ok("safety", "Nothing that roles would refuse to start on.")


def _workers() -> Iterator[Finding]:
    roles = [row.role for row in presence.living() if row.role.startswith("worker:")]
    served = {queue for role in roles for queue in role.removeprefix("worker:").split(",")}
    missing = [queue for queue in QUEUES if queue not in served]
    if missing:
        yield fail(
            "workers",
            f"No living worker serves {', '.join(missing)}.",
            f"Start one: MOONX_ROLE=worker:{','.join(missing)} manage.py run.",
        )
    else:
        yield ok("workers", f"{len(roles)} serve all queues.")


def _roles() -> Iterator[Finding]:
    living = {row.role for row in presence.living()}
    for roles, what in ((("web", "ws"), "page"), (("beat",), "clock"), (("relay",), "relay")):
        if living & set(roles):
            yield ok(what, f"{' or '.join(roles)} reports.")
        else:
            advice = f"Start one: MOONX_ROLE={roles[0]} manage.py run."
            yield fail(what, f"{' or '.join(roles)} does not report.", advice)


def _silent() -> Iterator[Finding]:
    for row in presence.silent():
        yield warn(
            "processes",
            f"{row.role} on {row.host} last reported at {row.beat_at:%Y-%m-%d %H:%M:%S} UTC.",
            "See its log; it is forgotten after a day.",
        )


def _schedule() -> Iterator[Finding]:
    late = schedule.overdue()
    for row in late:
        last = f"{row.last_run_at:%H:%M:%S} UTC" if row.last_run_at else "never"
        yield fail("schedule", f"{row.name} is late, last sent {last}.", "See beat's log.")
    for sentence in schedule.differences():
        advice = "Right if you meant it; else `manage.py install_schedule` or the admin."
        yield warn("schedule", f"{sentence}.", advice)
    if not late:
        yield ok("schedule", f"{len(schedule.SCHEDULE)} entries, none late.")


def _queues() -> Iterator[Finding]:
    with valkey.connect(settings.ENV.broker_dsn()) as server:
        lengths = {name: server.llen(f"{settings.ENV.redis_key_prefix}{name}") for name in QUEUES}
    long = {name: count for name, count in lengths.items() if int(str(count)) > LONG_QUEUE}
    for name, count in long.items():
        yield warn("queues", f"{count} messages wait in {name}.", "Start more workers for it.")
    if not long:
        yield ok("queues", "None is long.")


def _markets() -> Iterator[Finding]:
    if not Market.objects.exists():
        yield warn("markets", "There is none.", "Add one in the admin, or import trades.")
        return
    trading = Market.objects.filter(status=MarketStatus.TRADING)
    recent = Trade.objects.filter(executed_at__gte=Now() - timedelta(hours=24))
    if not Trade.objects.exists():
        yield warn("trades", "There is none: tickers and candles have nothing to show.", "Trade.")
    elif trading.exists() and not recent.filter(market__in=trading).exists():
        yield warn(
            "trades",
            "No market that is open has traded in 24 hours.",
            "See whatever sends orders or replays trades.",
        )
    else:
        yield ok("trades", "There are some.")


def _market_data() -> Iterator[Finding]:
    now = clock.db_now()
    stale, unclosed = freshness.stale_tickers(now=now), freshness.unclosed(now=now)
    if stale:
        yield fail(
            "tickers",
            f"{len(stale)} are stale, {stale[0]} first.",
            "Try `manage.py run_task exchange.update_tickers` and see whether it fails.",
        )
    else:
        yield ok("tickers", "They are fresh.")
    for interval in unclosed:
        yield fail(
            "candles",
            f"{interval} candles are not closed up to now.",
            f"Try `manage.py run_task exchange.close_candles_{interval}`.",
        )
    if not unclosed:
        yield ok("candles", "Every interval is closed up to now.")
    yield from _set_back(now=now)


def _set_back(*, now: datetime) -> Iterator[Finding]:
    """Market data that is further than the clock: it stands still until the clock is there."""
    ahead = [
        found
        for found in freshness.of_market_data(now=now)
        if found.state is freshness.State.SET_BACK
    ]
    if ahead:
        furthest = max(ahead, key=lambda found: found.due)
        yield fail(
            "database clock",
            f"It was set back: {furthest.what} is done up to {furthest.due:%Y-%m-%d %H:%M:%S} UTC, "
            f"and it is {now:%Y-%m-%d %H:%M:%S} now.",
            "Set the database server's clock right; nothing closes twice, and all goes on there.",
        )


def _ledger() -> Iterator[Finding]:
    last = Cursor.objects.filter(name=reconcile.CURSOR).first()
    if last is None and not Journal.objects.exists():
        yield ok("ledger", "There is nothing in it.")
    elif last is None or clock.db_now() - last.updated_at > LOOKED_LATELY:
        when = f"last at {last.updated_at:%Y-%m-%d %H:%M:%S} UTC" if last else "never yet"
        yield fail(
            "ledger",
            f"It was found in order {when}.",
            "Run `manage.py reconcile --dry-run`: it lists what does not add up.",
        )
    else:
        yield ok("ledger", f"In order at {last.updated_at:%H:%M:%S} UTC.")


def _chains() -> Iterator[Finding]:
    served = registry.enabled()
    off = [chain.slug for chain in registry.all() if chain not in served]
    if not served:
        yield warn(
            "chains",
            "None is on: no chain is watched.",
            "Set RPC_URL_<CHAIN>, or ALCHEMY_API_KEY.",
        )
        return
    answers = abreast.each(lambda chain: Reader.of(chain).check(), served, most=len(served))
    for chain, answer in zip(served, answers, strict=True):
        yield from _of_chain(chain, answer)
    if off:
        yield ok("chains", f"Off, having no URL or being turned off: {', '.join(off)}.")


def _of_chain(chain: Chain, answer: dict[str, CallFailed | None]) -> Iterator[Finding]:
    failed = [fault for fault in answer.values() if fault is not None]
    right = len(answer) - len(failed)
    subject = f"chain {chain.slug}"
    if right:
        names = ", ".join(name for name, fault in answer.items() if fault is None)
        yield ok(subject, f"{right} of {len(answer)} answer as chain {chain.chain_id}: {names}.")
    for fault in failed:
        advice = f"Correct RPC_URL_{chain.slug.upper()}, or see that provider's status."
        yield (warn if right else fail)(subject, str(fault), advice)


def _events() -> Iterator[Finding]:
    oldest = OutboxEvent.objects.order_by("id").first()
    if oldest is not None and clock.db_now() - oldest.created_at > WAITED_TOO_LONG:
        yield fail(
            "events",
            f"{oldest.name} has waited since {oldest.created_at:%H:%M:%S} UTC to be published.",
            "Start the relay: MOONX_ROLE=relay manage.py run.",
        )
        return
    last = Cursor.objects.filter(name="relay").first()
    yield ok("events", f"Numbered up to {last.position if last else 0}.")


def _push_server() -> Iterator[Finding]:
    with valkey.connect(settings.ENV.cache_dsn()) as server:
        stored, epoch = server.get(valkey.key("position")), server.get(valkey.key("epoch"))
        topics = server.hlen(valkey.key("seq"))
    newest = PublishedEvent.objects.order_by("-position").first()
    position = newest.position if newest else 0
    if stored is None or epoch is None:
        yield warn(
            "push server", "It knows no position: nothing was published.", "Start the relay."
        )
    elif abs(position - int(stored)) > LONG_QUEUE:
        yield fail(
            "push server",
            f"It stands at {int(stored)}, the events at {position}.",
            "See the relay's log; it catches up by itself once both servers answer.",
        )
    else:
        yield ok("push server", f"Position {int(stored)} in epoch {_text(epoch)}, {topics} topics.")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


NOTHING: frozenset[str] = frozenset()
DATABASE, BROKER, CACHE = frozenset({"database"}), frozenset({"broker"}), frozenset({"cache"})
QUESTIONS: tuple[tuple[frozenset[str], Callable[[], Iterator[Finding]]], ...] = (
    (DATABASE | BROKER, _safety),
    (DATABASE, _workers),
    (DATABASE, _roles),
    (DATABASE, _silent),
    (DATABASE, _schedule),
    (BROKER | CACHE, _two_servers),
    (BROKER, _queues),
    (DATABASE, _markets),
    (DATABASE, _market_data),
    (DATABASE, _ledger),
    (DATABASE | CACHE, _chains),
    (NOTHING, _outside_services),
    (DATABASE, _events),
    (DATABASE | CACHE, _push_server),
)

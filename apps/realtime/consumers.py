"""One socket: who it is, what it hears, and how it ends."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError

from apps.realtime import auth, gate, hub, measures, protocol, registry, signin, transport
from apps.realtime.auth import Identity
from apps.realtime.limits import Strikes, TokenBucket
from apps.realtime.outlet import Outlet
from apps.realtime.protocol import BadMessage, Code, Message, Refused
from apps.realtime.subscriptions import Subscription
from apps.realtime.threads import LOGINS, in_thread
from moonx.core import http, logs, tokens, topics
from moonx.core.identity import AuthRefused, local_user_id
from moonx.core.topics import Route
from moonx.core.version import version

log = logs.get("moonx.socket")

SUBSCRIBE_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 5.0
EXPIRY_NOTICE_S = 60
BAD_MESSAGES, REFUSED_MESSAGES = 3, 30  # within a minute, then the socket is closed

PEER_CODES = range(1000, 1016)

Handler = Callable[["Gateway", Message], Awaitable[None]]

# Messages a minute of one user, over all sockets of this process.
_user_buckets: WeakValueDictionary[str, TokenBucket] = WeakValueDictionary()


class Gateway(AsyncWebsocketConsumer):
    """Speaks the protocol on one socket. What it hears comes from the hub, not from a layer."""

    channel_layer_alias = "none"  # not configured: no channel and no task per connection
    handlers: ClassVar[dict[str, Handler]] = {}

    identity: Identity | None = None
    closing = False
    state = ""

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Calls the handler without Channels' look at database connections, which costs a thread
        switch per message: no handler uses a connection of this thread."""
        await getattr(self, get_handler_name(message))(message)

    async def connect(self) -> None:
        """Opens the socket and asks for a token."""
        now = time.monotonic()
        self.id = secrets.token_hex(8)
        self.since_ms = time.time_ns() // 1_000_000
        self.subscriptions: dict[str, Subscription] = {}
        self.strikes, self.refusals = Strikes(BAD_MESSAGES), Strikes(REFUSED_MESSAGES)
        per_minute = settings.ENV.rate_limit_max_messages_per_minute
        self.bucket = TokenBucket.full(per_minute=per_minute, now_s=now)
        self.user_bucket: TokenBucket | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self.ending: asyncio.Task[None] | None = None
        self.hub, self.registry = hub.current(), registry.current()
        self.entry = registry.Entry(self.id, gate.address_of(self.scope), self._describe)
        await self.accept()
        self.outlet = Outlet(self._send_text, self._too_slow)
        self._enter_state("anonymous" if settings.ENV.anonymous_read else "waiting")
        self.hub.listeners.add(self._heed)
        if not await self.registry.enter(self.entry):
            measures.connects.labels("tooManyConnections").inc()
            self.end(Code.TOO_MANY_CONNECTIONS, "too many connections: wait 30 s")
            return
        measures.connects.labels("accepted").inc()
        self._greet()

    def _greet(self) -> None:
        timeout_s = settings.ENV.ws_auth_timeout_s
        if not settings.ENV.anonymous_read:
            self._later(timeout_s, self._auth_timeout)
        greeting = {
            "timeout": timeout_s * 1000,
            "required": not settings.ENV.anonymous_read,
            "protocol": protocol.VERSION,
            "server": f"MoonX {version()}",
            "session": self.id,
            "heartbeat": settings.ENV.ws_ping_interval,
            "limits": {
                "messagesPerMinute": settings.ENV.rate_limit_max_messages_per_minute,
                "channels": protocol.MAX_CHANNELS,
                "channelsPerRequest": protocol.MAX_CHANNELS_PER_REQUEST,
                "frameBytes": protocol.MAX_CHARACTERS,
            },
        }
        self.answer("auth_required", greeting)

    async def disconnect(self, code: int) -> None:
        """The socket is closed, by whomever."""
        if self.ending is None:
            measures.closes.labels(str(code) if code in PEER_CODES else "other").inc()
        else:
            await asyncio.wait([self.ending], timeout=CLOSE_TIMEOUT_S)
        await self._forget()
        await self.outlet.stop()

    # Messages in

    async def websocket_receive(self, event: dict[str, Any]) -> None:
        """One message from the client; every failure is answered, none escapes."""
        if self.closing:
            return
        self.registry.totals.received += 1
        message: Message | None = None
        try:
            self._within_rate()
            if event.get("text") is None:
                raise BadMessage("Messages are text frames.")
            message = protocol.parse(event["text"])
            await self._handle(message)
        except BadMessage as refused:
            self._strike(refused, to=message.id if message else refused.message_id)
        except Refused as refused:
            self.outlet.deliver(protocol.error(refused, to=message.id if message else None))
        except (DatabaseError, OSError, TimeoutError) as failure:
            log.warning("request not served", error=type(failure).__name__)
            busy = Refused(Code.TRY_LATER, "The server is busy: try again.", retry_after_s=2)
            self.outlet.deliver(protocol.error(busy, to=message.id if message else None))

    async def _handle(self, message: Message) -> None:
        handler = self.handlers.get(message.type)
        measures.messages_in.labels(message.type if handler else "unknown").inc()
        if handler is None:
            known = ", ".join(sorted(self.handlers))
            raise BadMessage(
                f"There is no message type {message.type!r}. Known types: {known}.",
                message_id=message.id,
            )
        await handler(self, message)

    def _within_rate(self) -> None:
        if not settings.ENV.rate_limit_enabled:
            return
        now = time.monotonic()
        wait_s = self.bucket.take(now_s=now)
        if not wait_s and self.user_bucket is not None:
            wait_s = self.user_bucket.take(now_s=now)
        if not wait_s:
            return
        measures.rate_limited.labels("messages").inc()
        retry_after_s = int(wait_s) + 1
        if self.refusals.add(now_s=now):
            self.end(Code.RATE_LIMITED, f"rate limited: wait {retry_after_s} s")
        raise Refused(
            Code.RATE_LIMITED,
            f"At most {self.bucket.per_minute} messages a minute: slow down.",
            retry_after_s=retry_after_s,
        )

    def _strike(self, refused: BadMessage, *, to: str | None) -> None:
        self.outlet.deliver(protocol.error(refused, to=to))
        if self.strikes.add(now_s=time.monotonic()):
            self.end(Code.BAD_PROTOCOL, "not the protocol, three times in a minute")

    # Messages out

    def answer(self, kind: str, data: dict[str, Any], *, to: str | None = None) -> None:
        """Sends a message of the protocol."""
        self.outlet.deliver(protocol.reply(kind, data, to=to))

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)
        self.registry.totals.sent += 1

    def _too_slow(self) -> None:
        self.end(Code.SLOW_CONSUMER, "slow consumer: connect again")

    # Who it is

    async def on_authenticate(self, message: Message) -> None:
        """A token: the first says who it is, a later one of the same user prolongs the socket."""
        token = message.data.get("token")
        if not isinstance(token, str) or not token:
            raise BadMessage("Send data: {token}.", message_id=message.id)
        try:
            identity = await self._identify(token.removeprefix("Bearer "))
        except auth.AuthUnavailable as failure:
            raise Refused(Code.TRY_LATER, str(failure), retry_after_s=2) from None
        except auth.AuthError as failure:
            self._refuse_token(failure, to=message.id)
            return
        if self.identity is not None and self.identity.user_id != identity.user_id:
            raise Refused(Code.BAD_PROTOCOL, "A socket has one user: open another socket.")
        self._recognise(identity)
        user = {"id": identity.user_id, "email": identity.email}
        data: dict[str, Any] = {"user": user, "expiresAt": identity.expires_at * 1000 or None}
        self.answer("auth_success", data, to=message.id)

    async def _identify(self, token: str) -> Identity:
        first = self.identity is None

        def work() -> Identity:
            identity = auth.identify(token, audience=tokens.SOCKET)
            if first and identity.local:
                signin.note_socket(user_id=identity.user_id)
            return identity

        return await in_thread(work, pool=LOGINS)

    def _refuse_token(self, failure: auth.AuthError, *, to: str | None) -> None:
        expired = isinstance(failure, auth.AuthExpired)
        measures.auth.labels("expired" if expired else "refused").inc()
        self.answer("auth_failed", {"error": str(failure)}, to=to)
        code = Code.TOKEN_EXPIRED if expired else Code.INVALID_TOKEN
        self.end(code, "token expired" if expired else "invalid token")

    def _recognise(self, identity: Identity) -> None:
        measures.auth.labels("accepted").inc()
        self.identity = identity
        self._cancel_timers()
        self.user_bucket = _user_buckets.setdefault(
            identity.user_id,
            TokenBucket.full(per_minute=self.bucket.per_minute, now_s=time.monotonic()),
        )
        self._enter_state("authenticated")
        if identity.expires_at:
            left_s = identity.expires_at - time.time()
            self._later(left_s - EXPIRY_NOTICE_S, self._expiry_notice)
            self._later(left_s, self._expired)

    def _auth_timeout(self) -> None:
        measures.auth.labels("timeout").inc()
        self.end(Code.AUTH_TIMEOUT, "no token in time")

    def _expiry_notice(self) -> None:
        if self.identity is not None:
            self.answer("auth_expiring", {"expiresAt": self.identity.expires_at * 1000})

    def _expired(self) -> None:
        self.end(Code.TOKEN_EXPIRED, "token expired: refresh it and connect again")

    def _heed(self, control: dict[str, Any]) -> None:
        revoked = control.get("revoke")
        if revoked and self.identity is not None and self.identity.session == revoked:
            self.end(Code.REVOKED, "signed out")

    # What it hears

    async def on_subscribe(self, message: Message) -> None:
        """Snapshot, then live, for one or several channels; one reply for all of them."""
        names, snapshot = protocol.channels_of(message), protocol.wants_snapshot(message)
        fresh = [name for name in names if name not in self.subscriptions]
        if len(self.subscriptions) + len(fresh) > protocol.MAX_CHANNELS:
            raise Refused(
                Code.TOO_MANY_CHANNELS, f"A socket hears at most {protocol.MAX_CHANNELS} channels."
            )
        routes = await in_thread(lambda: self._authorise(names))
        if self.closing:
            return
        for name in fresh:
            one = self.hub.subscribe(self.outlet, routes[name], snapshot=snapshot)
            self.subscriptions[name] = one
        await self._reply_subscribed(message, names, fresh)

    async def _reply_subscribed(self, message: Message, names: list[str], fresh: list[str]) -> None:
        heard = [self.subscriptions[name] for name in names]
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                for one in heard:
                    await asyncio.shield(one.ready)
        except TimeoutError:
            self._unsubscribe(fresh)
            raise
        if self.closing:
            return  # it ended meanwhile, and its subscriptions with it
        described = [
            {"channel": name, "epoch": one.start.epoch, "seq": one.start.seq}
            for name, one in zip(names, heard, strict=True)
        ]
        single = "channels" not in message.data
        data: dict[str, Any] = described[0] if single else {"channels": described}
        self.answer("subscribed", data, to=message.id)
        for name in fresh:
            self.subscriptions[name].go_live()
        self.registry.touch(self.id)

    def _authorise(self, names: list[str]) -> dict[str, Route]:
        """Where each of `names` is heard; raises Refused unless this socket may hear all of them.

        May query the database.
        """
        try:
            families = topics.find_all(names)
        except topics.UnknownTopic as unknown:
            raise Refused(Code.UNKNOWN_CHANNEL, str(unknown)) from None
        for name, namespace in zip(names, families, strict=True):
            anonymous_may = namespace.public and settings.ENV.anonymous_read
            if self.identity is None and not anonymous_may:
                raise Refused(Code.TOKEN_NEEDED, f"{name} needs a token: authenticate first.")
        if any(map(topics.is_own, families)):
            self._know_owner()
        owner = self.outlet.owner
        return {
            name: topics.route(name, namespace, owner=owner)
            for name, namespace in zip(names, families, strict=True)
        }

    def _know_owner(self) -> None:
        """Whose own channels this socket may hear: asked once, because a socket has one user."""
        if self.outlet.owner is not None or self.identity is None:
            return
        try:
            self.outlet.owner = local_user_id(self.identity)
        except AuthRefused as refusal:
            raise Refused(Code.TOKEN_NEEDED, str(refusal)) from None

    async def on_unsubscribe(self, message: Message) -> None:
        """Ends subscriptions; one that is not there is ended already."""
        names = protocol.channels_of(message)
        self._unsubscribe(names)
        single = "channels" not in message.data
        data: dict[str, Any] = {"channel": names[0]} if single else {"channels": names}
        self.answer("unsubscribed", data, to=message.id)
        self.registry.touch(self.id)

    def _unsubscribe(self, names: list[str]) -> None:
        for name in names:
            subscription = self.subscriptions.pop(name, None)
            if subscription is not None:
                self.hub.unsubscribe(subscription)

    async def on_list(self, message: Message) -> None:
        """What the socket hears, and what it could."""
        families = [
            {
                "name": known.name,
                "arguments": known.arity,
                "public": known.public,
                "aliasOf": known.alias_of or None,
            }
            for known in topics.known()
        ]
        data = {"subscribed": sorted(self.subscriptions), "families": families}
        self.answer("list", data, to=message.id)

    async def on_ping(self, message: Message) -> None:
        """Alive."""
        self.answer("pong", {}, to=message.id)

    # How it ends

    def end(self, code: Code, reason: str) -> None:
        """Closes the socket with a code and a reason, once what is queued has been sent."""
        if self.closing:
            return
        self.closing = True
        measures.closes.labels(str(int(code))).inc()
        self.ending = asyncio.create_task(self._end(code, reason))

    async def _end(self, code: Code, reason: str) -> None:
        await self._forget()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.outlet.flush(timeout_s=CLOSE_TIMEOUT_S / 2)
                await self.close(int(code), reason)
        except (TimeoutError, OSError) as failure:
            log.info("socket not closed in order", error=type(failure).__name__, code=int(code))
            abort = self.scope.get("extensions", {}).get(transport.ABORT)
            if abort is not None:
                abort()

    async def _forget(self) -> None:
        """Frees all that others hold of this socket; a second time it does nothing."""
        self.closing = True
        self._cancel_timers()
        self.hub.listeners.discard(self._heed)
        self._unsubscribe(list(self.subscriptions))
        self._enter_state("")
        await self.registry.leave(self.entry)

    def _enter_state(self, state: str) -> None:
        if self.state:
            measures.connections.labels(self.state).dec()
        if state:
            measures.connections.labels(state).inc()
        self.state = state
        self.registry.touch(self.id)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.timers.append(loop.call_later(max(0.0, delay_s), action))

    def _cancel_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def _describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "user": self.identity.user_id if self.identity else None,
            "ip": http.address_group(self.entry.address),
            "since": self.since_ms,
            "state": self.state,
            "channels": sorted(self.subscriptions),
            "queue": self.outlet.queued,
        }


Gateway.handlers = {
    "authenticate": Gateway.on_authenticate,
    "refresh": Gateway.on_authenticate,
    "subscribe": Gateway.on_subscribe,
    "unsubscribe": Gateway.on_unsubscribe,
    "list": Gateway.on_list,
    "ping": Gateway.on_ping,
}

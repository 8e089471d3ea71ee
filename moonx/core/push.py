"""From rows to subscribers: frames are built once, and Valkey decides what is new."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring as quoted
from typing import Any

from redis import RedisError

from moonx.core import logs, metrics, valkey
from moonx.core.intervals import to_ms

log = logs.get("moonx.push")

# KEYS: position, seq.  ARGV: from, to, channel prefix, then (topic, head) pairs.
# Enters each event once: refuses unless the stored position is exactly `from`.
PUBLISH_FACTS = """
local stored = redis.call('GET', KEYS[1])
if not stored then return 'missing' end
if stored ~= ARGV[1] then return stored end
for i = 4, #ARGV, 2 do
  local seq = redis.call('HINCRBY', KEYS[2], ARGV[i], 1)
  redis.call('PUBLISH', ARGV[3] .. ARGV[i], ARGV[i + 1] .. ',"seq":' .. seq .. '}')
end
redis.call('SET', KEYS[1], ARGV[2])
return 'ok'
"""

# KEYS: seq.  ARGV: state prefix, channel prefix, then (key, topic, version, head) quadruples.
# Refuses a version that is not newer than the stored one; returns how many it took.
PUBLISH_STATES = """
local taken = 0
for i = 3, #ARGV, 4 do
  local key, topic, version = ARGV[1] .. ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local stored = redis.call('HGET', key, 'version')
  if not stored or tonumber(version) > tonumber(stored) then
    local seq = redis.call('HINCRBY', KEYS[1], topic, 1)
    local frame = ARGV[i + 3] .. ',"seq":' .. seq .. '}'
    redis.call('HSET', key, 'version', version, 'frame', frame)
    redis.call('PUBLISH', ARGV[2] .. topic, frame)
    taken = taken + 1
  end
end
return taken
"""


STATES_AT_ONCE = 500  # some 300 KB: a few ms of the push server, which does nothing else then


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The newest value of something, to be known by all who watch `topic`.

    `key` tells apart the values that share a topic; `channel` is the canonical channel where the
    topic is an alias.
    """

    topic: str
    key: str = ""
    name: str
    version: int
    data: dict[str, Any]
    source_time: datetime
    channel: str = ""


def head(
    *,
    frame_id: str,
    name: str,
    channel: str,
    kind: str,
    source_ms: int,
    now_ms: int,
    data: Any,
    correlation_id: str = "",
    position: int | None = None,
) -> str:
    """A frame's JSON without its closing brace, so that `seq` can be appended."""
    return head_of_json(
        frame_id=frame_id,
        name=name,
        channel=channel,
        kind=kind,
        source_ms=source_ms,
        now_ms=now_ms,
        data_json=json.dumps(data, separators=(",", ":"), ensure_ascii=False),
        correlation_id=correlation_id,
        position=position,
    )


def head_of_json(
    *,
    frame_id: str,
    name: str,
    channel: str,
    kind: str,
    source_ms: int,
    now_ms: int,
    data_json: str,
    correlation_id: str = "",
    position: int | None = None,
) -> str:
    """As `head`, of data that is JSON already."""
    # Spelled out: this is done for each event, and json.dumps of such a dict takes thrice as long.
    correlation = f',"correlationId":{quoted(correlation_id)}' if correlation_id else ""
    place = f',"position":{position}' if position is not None else ""
    return (
        f'{{"id":{quoted(frame_id)},"type":{quoted(name)},"timestamp":{now_ms},'
        f'"channel":{quoted(channel)},"kind":{quoted(kind)},"sourceTs":{source_ms},'
        f'"pubTs":{now_ms},"data":{data_json}{correlation}{place}'
    )


def publish_states(states: Iterable[State], *, now: datetime) -> int:
    """Pushes the states that are newer than what subscribers have; returns how many were.

    A push that fails is counted and left: its sender compares versions and sends again.
    """
    rows = list(states)
    taken = 0
    try:
        for start in range(0, len(rows), STATES_AT_ONCE):
            taken += _publish(rows[start : start + STATES_AT_ONCE], now_ms=to_ms(now))
    except (RedisError, OSError) as error:
        metrics.state_push_errors.inc()
        log.warning("states not pushed, they will be sent again", error=type(error).__name__)
        return taken
    if len(rows) > taken:
        metrics.states_refused.inc(len(rows) - taken)
    return taken


def _publish(states: Sequence[State], *, now_ms: int) -> int:
    args: list[str | int] = []
    for state in states:
        args += [state.key or state.topic, state.topic, state.version]
        args.append(_state_head(state, now_ms=now_ms))
    prefixes = valkey.key("state:"), valkey.key("t:")
    taken = valkey.client().eval(PUBLISH_STATES, 1, valkey.key("seq"), *prefixes, *args)
    return int(taken)


def _state_head(state: State, *, now_ms: int) -> str:
    return head(
        frame_id=f"{state.key or state.topic}@{state.version}",
        name=state.name,
        channel=state.channel or state.topic,
        kind="update",
        source_ms=to_ms(state.source_time),
        now_ms=now_ms,
        data=state.data,
        correlation_id=logs.correlation_id.get(),
    )


def pushed_versions(keys: Sequence[str]) -> dict[str, int]:
    """The version of each state that subscribers have; absent where none was pushed.

    Empty where the push server does not answer: whoever asks will ask again.
    """
    if not keys:
        return {}
    try:
        with valkey.client().pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(valkey.key(f"state:{key}"), "version")
            values = pipe.execute()
    except (RedisError, OSError) as error:
        log.warning("pushed versions unknown", error=type(error).__name__)
        return {}
    return {key: int(value) for key, value in zip(keys, values, strict=True) if value}

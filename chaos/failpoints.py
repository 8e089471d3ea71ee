"""Kills before and after every statement that a function sends to the database, COMMIT included.

A dry run counts the statements; then, for each of them and each moment, the scene is laid out anew,
a child runs the function and kills itself there, and the judge looks at what is left.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import connection

from chaos.nursery import Ending, Nursery, function_of

Arguments = Mapping[str, Any]
COMMIT = "COMMIT"


class Moment(StrEnum):
    """When the process dies: before the server hears of the statement, or once it has answered."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failpoint:
    """One place to die at; statements are counted from 1. `is_late` tells that a COMMIT has been
    answered before, so that something stands already."""

    number: int
    moment: Moment
    statement: str = ""
    is_late: bool = False

    def __str__(self) -> str:
        return f"{self.moment} statement {self.number}, {self.statement}"


@dataclass(slots=True)
class Watch:
    """Counts the statements of this process's connection, and ends the process at one of them."""

    deadly: Failpoint | None = None
    statements: list[str] = field(default_factory=list)

    def around(self, statement: str, act: Callable[[], Any]) -> Any:
        """Does it; does not return where the process is to die."""
        self.statements.append(" ".join(statement.split())[:60])
        self._perhaps_die(Moment.BEFORE)
        try:
            return act()
        finally:
            self._perhaps_die(Moment.AFTER)

    def execute(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """What the connection calls for every statement."""
        return self.around(sql, lambda: execute(sql, *rest))

    def _perhaps_die(self, moment: Moment) -> None:
        deadly = self.deadly
        if deadly and (len(self.statements), moment) == (deadly.number, deadly.moment):
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal is on its way


@contextmanager
def watched(deadly: Failpoint | None = None) -> Iterator[Watch]:
    """Within it, every statement and every COMMIT of the connection is counted, perhaps deadly."""
    watch = Watch(deadly)
    commit = connection._commit  # type: ignore[attr-defined]
    connection._commit = lambda: watch.around(COMMIT, commit)  # type: ignore[attr-defined]
    try:
        with connection.execute_wrapper(watch.execute):
            yield watch
    finally:
        connection._commit = commit  # type: ignore[attr-defined]


def counted(call: str, arguments: dict[str, Any]) -> list[str]:
    """In a child: runs the function to its end; the statements that it sent."""
    connection.ensure_connection()  # what it takes to connect is no part of the function
    with watched() as watch:
        function_of(call)(**arguments)
    return watch.statements


def struck(call: str, arguments: dict[str, Any], number: int, moment: str) -> None:
    """In a child: runs the function as far as it may."""
    connection.ensure_connection()
    with watched(Failpoint(number=number, moment=Moment(moment))):
        function_of(call)(**arguments)


@dataclass(slots=True)
class Exhausted:
    """What a run over all failpoints did: where it struck, and where the function got past."""

    statements: list[str] = field(default_factory=list)
    struck: list[Failpoint] = field(default_factory=list)
    missed: list[Failpoint] = field(default_factory=list)


def everywhere(
    nursery: Nursery,
    call: str,
    *,
    arrange: Callable[[], Arguments],
    judge: Callable[[Arguments, Failpoint | None], None],
    every: int = 1,
) -> Exhausted:
    """Runs `call` once undisturbed, then once for each place to die at, or for `every` so many.

    `arrange` lays the scene out and returns the function's arguments; `judge` gets them back, with
    the failpoint, after the child has ended. Raises RuntimeError where the dry run fails.
    """
    done = Exhausted()
    arguments = arrange()
    dry = nursery.call("chaos.failpoints:counted", call=call, arguments=dict(arguments))
    if dry.error or dry.killed:
        raise RuntimeError(f"{call} fails by itself: {dry.error or 'killed'}")
    judge(arguments, None)
    done.statements = dry.result
    for failpoint in list(_all_of(done.statements))[::every]:
        arguments = arrange()
        ending = _strike(nursery, call, arguments, failpoint)
        (done.struck if ending.killed else done.missed).append(failpoint)
        judge(arguments, failpoint)
    return done


def _all_of(statements: list[str]) -> Iterator[Failpoint]:
    is_late = False
    for number, statement in enumerate(statements, start=1):
        for moment in Moment:
            is_late |= statement == COMMIT and moment is Moment.AFTER
            yield Failpoint(number=number, moment=moment, statement=statement, is_late=is_late)


def _strike(nursery: Nursery, call: str, arguments: Arguments, failpoint: Failpoint) -> Ending:
    return nursery.call(
        "chaos.failpoints:struck",
        call=call,
        arguments=dict(arguments),
        number=failpoint.number,
        moment=failpoint.moment.value,
    )

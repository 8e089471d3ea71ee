"""Processes by the dozen: forked from one that has loaded everything already, and killed at will.

`python -m chaos.nursery` reads one JSON line per request and answers each with one.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import django

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a child ended: killed, or with what its function returned, or with what it raised."""

    killed: bool
    result: Any = None
    error: str = ""


class Nursery:
    """A context manager that starts and kills children; none outlives it.

    A child calls one function, named as `module:function`, with arguments that JSON can carry.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for whoever judges
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()  # its children are told to die with it
        self._process.communicate()

    def start(self, call: str, /, **arguments: Any) -> int:
        """The process id of a new child that calls a function."""
        return int(self._ask({"call": call, "arguments": arguments}))

    def wait(self, pid: int) -> Ending:
        """How the child ended; waits until it has."""
        return Ending(**self._ask({"wait": pid}))

    def call(self, call: str, /, **arguments: Any) -> Ending:
        """How a child ended that called a function."""
        return self.wait(self.start(call, **arguments))

    def kill(self, pid: int) -> Ending:
        """Ends a child as the system would: at any moment, without a word."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self.wait(pid)

    def _ask(self, request: dict[str, Any]) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(request), file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())


def function_of(name: str) -> Callable[..., Any]:
    """The function behind `module:function`."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def main() -> None:
    """Forks children until its input ends; each one's pipe carries what it has to say."""
    django.setup()
    pipes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer: Any = _buried(request["wait"], pipes.pop(request["wait"]))
        else:
            answer = _fork(pipes, request["call"], request["arguments"])
        print(json.dumps(answer), flush=True)


def _fork(pipes: dict[int, int], call: str, arguments: dict[str, Any]) -> int:
    importlib.import_module(call.partition(":")[0])  # once, here, for all that follow
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be(call, arguments, writing)
    os.close(writing)
    pipes[pid] = reading
    return pid


def _be(call: str, arguments: dict[str, Any], pipe: int) -> None:
    """What a child does for the rest of its life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the nursery's own is for its answers
    said: dict[str, Any] = {}
    try:
        said = {"result": function_of(call)(**arguments)}
    except BaseException as error:  # noqa: BLE001 - whoever waits is told, and judges it
        said = {"error": f"{type(error).__name__}: {error}"}
    finally:
        os.write(pipe, json.dumps(said).encode())
        os._exit(0)


def _buried(pid: int, pipe: int) -> dict[str, Any]:
    with os.fdopen(pipe) as reading:
        said = reading.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"killed": True}  # whatever it had begun to say
    return {"killed": False, **json.loads(said)}


if __name__ == "__main__":
    main()

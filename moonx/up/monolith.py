"""Several roles under one supervisor: what `up` runs on its stores, `MOONX_ROLE=monolith` alone."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from moonx.roles import EXCHANGE_WORKER, IO_WORKER, ROOT, command_for, simulator_port
from moonx.settings.env import Env
from moonx.up.console import Console
from moonx.up.probe import answers
from moonx.up.process import Service
from moonx.up.runfile import RunFile, release_lock, take_lock
from moonx.up.supervisor import Stopped, Supervisor

CHILD_NAMES = {EXCHANGE_WORKER: "worker", IO_WORKER: "worker-io"}
# A worker ends when its running tasks have ended, in tenths of a second as a rule. What is killed
# after this long is done again: the rows hold the work.
WORKER_STOP_S = 12.0
SHOWN = {"web", "ws", "relay", "demo", EXCHANGE_WORKER}


def child_name(role: str) -> str:
    """What the role's child is called in lines and log files."""
    return CHILD_NAMES.get(role, role)


def role_service(role: str, env: Env) -> Service:
    """The role as a supervised child."""
    return Service(
        name=child_name(role),
        argv=command_for(role, env),
        env={
            "MOONX_ROLE": role,
            "PYTHONUNBUFFERED": "1",
            # Of a clone that root runs; the image has a user of its own.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        },
        cwd=ROOT,
        ready=_readiness(role, env),
        ready_timeout_s=120,  # a busy machine imports slowly
        stop_timeout_s=WORKER_STOP_S if role.startswith("worker:") else 8.0,
    )


def run_several(roles: Sequence[str], env: Env, *, home: Path) -> int:
    """Runs the roles on stores that are there already, until a signal; the exit code."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_lock(home)
    console, run_file = Console(), RunFile(home)
    try:
        run_file.end_orphans()
        supervisor = Supervisor(
            console=console, logs=home / "log", run_file=run_file, environ=os.environ
        )
        with supervisor.signals():
            start_roles(supervisor, roles, env)
            if "web" in roles:
                console.step(f"serving on http://{env.moonx_host}:{env.moonx_port}/")
            supervisor.run()
            console.step("stopping")
    except Stopped:
        pass
    finally:
        release_lock(home, lock)
    return 0


def start_roles(supervisor: Supervisor, roles: Sequence[str], env: Env) -> None:
    """Starts the roles and returns when the web server answers.

    What the page shows comes first: all at once, the roles would share the processors for twice
    as long. They are ended the other way round: first who asks, then who answers.
    """
    services = {role: role_service(role, env) for role in roles}
    first = [role for role in services if role in SHOWN]
    supervisor.start([services[role] for role in first if role != "demo"])
    supervisor.start([services[role] for role in first if role == "demo"])
    supervisor.wait_ready()
    supervisor.start([services[role] for role in services if role not in SHOWN])


def _readiness(role: str, env: Env) -> Callable[[int], bool]:
    if role in {"web", "ws"}:
        return lambda _pid: answers(env.moonx_port, "/health/live")
    if role == "simulator":
        return lambda _pid: answers(simulator_port(env), "/_health")
    return _is_running


def _is_running(_pid: int) -> bool:
    return True

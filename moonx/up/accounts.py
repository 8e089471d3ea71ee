"""The user that PostgreSQL runs as where `up` itself runs as root, which PostgreSQL refuses."""

import ctypes
import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522
LIBC = ctypes.CDLL(None, use_errno=True)

# Created by PostgreSQL's own packages, and present on every system, in this order.
CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user and its group, by number."""

    uid: int
    gid: int


def store_account(data: Path) -> Account | None:
    """Who runs PostgreSQL: None is the present user; as root it is somebody else."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return Account(uid=data.stat().st_uid, gid=data.stat().st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    return Account(uid=65534, gid=65534)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def become(account: Account) -> None:
    """Makes this process the account's, between fork and exec.

    Of root's powers it keeps the reaching of files: a clone below a private directory such as
    /root stays private, and PostgreSQL still finds its program and its data there.
    """
    keep = sys.platform == "linux"
    if keep:
        LIBC.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if keep:
        bit = 1 << CAP_DAC_OVERRIDE
        header = _Header(LINUX_CAPABILITY_VERSION_3, 0)
        sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
        LIBC.capset(ctypes.byref(header), ctypes.byref(sets))
        LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)

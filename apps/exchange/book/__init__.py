"""The book as others see it: its levels, how often it changed, and how subscribers learn of it."""

from apps.exchange.book.channel import register
from apps.exchange.book.levels import Depth, Level, changed, depth, depths
from apps.exchange.book.pushing import push, push_missed, push_soon

__all__ = [
    "Depth",
    "Level",
    "changed",
    "depth",
    "depths",
    "push",
    "push_missed",
    "push_soon",
    "register",
]

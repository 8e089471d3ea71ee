"""The product's own web server, whose orders are placed by the ORM: everything else is the same."""

from moonx.asgi import application  # isort: skip  # makes Django ready

from apps.exchange import orders
from benchmarks import orm_exchange

__all__ = ["application"]

orders.place = orm_exchange.place

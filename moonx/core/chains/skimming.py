"""Whole blocks out of the bytes of a batch's answer, without making objects of all they hold; pure.

A block of 170 transactions is a quarter of a megabyte of which 40 bytes a transaction are wanted:
parsing the rest would be most of a scan. What is skimmed is counted from several sides, and
anything that does not add up is left to the JSON parser: both read the same, or the parser rules.
"""

import re
from binascii import unhexlify
from collections.abc import Mapping
from itertools import pairwise

from moonx.core.chains.blocks import LARGEST_PLAIN, Header, Traffic

RESULT, ID = b'"result":', b'"id":'
ID_NEAR = 160  # bytes before a result, or behind it, that hold the reply's id
# None ends in 0x: what is searched is full of zeros, and the search would stop at each.
FROM, TO, BLOCK_HASH = b'"from":"', b'"to":', b'"blockHash":"'
NO_TRANSACTIONS = b'"transactions":[]'
# The header's fields. Within a transaction only `hash` is a name too.
FIELD = re.compile(
    rb'"(number|hash|parentHash|timestamp|gasUsed|gasLimit|baseFeePerGas)":("?)([^",}]*)'
)
NEEDED = (b"number", b"parentHash", b"timestamp", b"gasUsed", b"gasLimit")
QUANTITY = re.compile(rb"0x[0-9a-fA-F]{1,64}")


class _Odd(ValueError):
    """Not of the form that can be skimmed."""


def traffic(body: bytes, wanted: Mapping[int, int]) -> dict[int, Traffic] | None:
    """The blocks of an answer under the ids of their requests, whose block numbers are `wanted`.

    None where the answer has another form than nodes mostly give: then it must be parsed.
    """
    starts = [at + len(RESULT) for at in _places(body, RESULT, 0, len(body))]
    if len(starts) != len(wanted) or body[-16:].rstrip()[-2:] != b"}]":
        return None
    bounds = [0, *starts, len(body)]
    try:
        ids = _ids(body, bounds)
        if len(ids) != len(wanted) or set(ids) != set(wanted):
            return None
        found = {
            number: _block(body, start, end)
            for number, start, end in zip(ids, starts, bounds[2:], strict=True)
        }
    except ValueError:
        return None
    right = all(block.header.number == wanted[number] for number, block in found.items())
    return found if right else None


def _places(body: bytes, name: bytes, start: int, end: int) -> list[int]:
    """Where `name` stands; found in place, because copies of a large answer would cost more."""
    places = []
    at = body.find(name, start, end)
    while at >= 0:
        places.append(at)
        at = body.find(name, at + len(name), end)
    return places


def _ids(body: bytes, bounds: list[int]) -> list[int]:
    """The ids in the order of the results: all stand before their result, or all behind it."""
    found = []
    for start, end in pairwise(bounds):
        for part in body[max(start, end - ID_NEAR) : end].split(ID)[1:]:
            digits = part[:24].partition(b",")[0].partition(b"}")[0]
            found.append(int(digits))
    return found


def _block(body: bytes, start: int, end: int) -> Traffic:
    senders, recipients = _places(body, FROM, start, end), _places(body, TO, start, end)
    count = len(senders)
    if len(recipients) != count:
        raise _Odd("as many senders as recipients")
    if not count and body.find(NO_TRANSACTIONS, start, end) < 0:
        raise _Odd("transactions are whole, not their hashes")
    # The header's fields stand before the first transaction or behind the last.
    found = FIELD.findall(body, start, senders[0] if count else end)
    found += FIELD.findall(body, senders[-1], end) if count else []
    fields, hashes = _fields(found)
    own = _block_hash(body, start, senders[0]) if count else hashes[0]
    others = [_block_hash(body, before, at) for before, at in pairwise(senders)]
    if hashes.count(own) != 1 or others.count(own) != len(others):
        raise _Odd("every transaction is of this block")
    fee = fields.get(b"baseFeePerGas")
    return Traffic(
        header=Header(
            number=_plain(fields[b"number"]),
            hash=_hash(own),
            parent_hash=_hash(fields[b"parentHash"]),
            time_s=_plain(fields[b"timestamp"]),
            gas_used=_plain(fields[b"gasUsed"]),
            gas_limit=_plain(fields[b"gasLimit"]),
            base_fee_wei=None if fee is None else _quantity(fee),
            transaction_count=count,
        ),
        senders=tuple([_address(body, at + len(FROM)) for at in senders]),
        recipients=tuple([_recipient(body, at + len(TO)) for at in recipients]),
    )


def _fields(found: list[tuple[bytes, bytes, bytes]]) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The header's fields, each of which stands there once, and every hash."""
    fields: dict[bytes, bytes] = {}
    hashes = []
    for name, quote, value in found:
        if name == b"hash":
            hashes.append(value)
        elif name in fields or not quote:
            raise _Odd("every field is there once, as a string")
        else:
            fields[name] = value
    if not all(name in fields for name in NEEDED) or not hashes:
        raise _Odd("every field is there")
    return fields, hashes


def _block_hash(body: bytes, start: int, end: int) -> bytes:
    """Which block the transaction says that it is of; nodes say it shortly before its sender."""
    at = body.rfind(BLOCK_HASH, start, end)
    if at < 0:
        raise _Odd("a transaction says of which block it is, before its sender")
    return body[at + len(BLOCK_HASH) : at + len(BLOCK_HASH) + 66]


def _plain(text: bytes) -> int:
    found = _quantity(text)
    if found > LARGEST_PLAIN:
        raise _Odd("a number fits its column")
    return found


def _quantity(text: bytes) -> int:
    if not QUANTITY.fullmatch(text):
        raise _Odd("a quantity is hexadecimal")
    return int(text, 16)


def _hash(text: bytes) -> bytes:
    if len(text) != 66 or text[:2] != b"0x":
        raise _Odd("a hash has 32 bytes")
    return unhexlify(text[2:])


def _address(body: bytes, at: int) -> bytes:
    """The address in quotes, whose first is already behind."""
    text = body[at : at + 43]
    if text[:2] != b"0x" or text[42:] != b'"':
        raise _Odd("an address has 20 bytes")
    return unhexlify(text[2:42])


def _recipient(body: bytes, at: int) -> bytes | None:
    if body[at : at + 1] == b'"':
        return _address(body, at + 1)
    if body[at : at + 4] == b"null":
        return None
    raise _Odd("a recipient is an address or null")

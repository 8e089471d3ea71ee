"""Whole blocks out of the bytes of a batch's answer, without making objects of all they hold; pure.

A block of 170 transactions is a quarter of a megabyte of which 40 bytes a transaction are wanted:
parsing the rest would be most of a scan. What is skimmed is counted from several sides, and
anything that does not add up is left to the JSON parser. Of what a node writes both read the same;
whether the rest of it is JSON, only the parser would know.
"""

import re
from binascii import unhexlify
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from moonx.core.chains.blocks import LARGEST_PLAIN, Header, Traffic

ID = b'"id":'
ID_NEAR = 160  # bytes before a result, or behind it, that hold the reply's id
NO_TRANSACTIONS = b'"transactions":[]'
# The header's fields. Within a transaction only `hash` is a name too.
FIELD = re.compile(
    rb'"(number|hash|parentHash|timestamp|gasUsed|gasLimit|baseFeePerGas)":("?)([^",}]*)'
)
NEEDED = (b"number", b"parentHash", b"timestamp", b"gasUsed", b"gasLimit")
QUANTITY = re.compile(rb"0x[0-9a-fA-F]{1,64}")
HASH, ADDRESS = 66, 42  # characters, with 0x
NULL = b"null"
MOST_RARE = 16  # one of so many letters: places take eight times the room of letters

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]


class _Odd(ValueError):
    """Not of the form that can be skimmed."""


@dataclass(frozen=True, slots=True)
class Name:
    """A field's name as it stands in an answer, up to its value. It has a letter that is rare: an
    answer is mostly digits and letters up to f."""

    text: bytes
    letter: bytes

    def places(self, text: Bytes, rare: Places) -> Places:
        """Where the values begin, among the places of the rare letter."""
        offset, size = self.text.index(self.letter), len(self.text)
        found = rare - offset
        found = found[(found >= 0) & (found < len(text) - size)]
        found = found[text[found + offset - 1] == self.text[offset - 1]]  # few are left to compare
        is_name = (_cut(text, found, size) == np.frombuffer(self.text, np.uint8)).all(axis=1)
        begun: Places = found[is_name] + size
        return begun


FROM, TO, BLOCK_HASH = Name(b'"from":"', b"o"), Name(b'"to":', b"o"), Name(b'"blockHash":"', b"o")
INDEX, RESULT = Name(b'"transactionIndex":', b"o"), Name(b'"result":', b"u")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Skimmed:
    """All transactions of an answer, one after the other: where each sender begins, and who sent
    to whom; `bounds` says which are of which block, `hashes` of which block they are."""

    at: Places
    senders: Sequence[bytes]
    recipients: Sequence[bytes | None]
    hashes: Sequence[bytes]
    bounds: Sequence[int]


def traffic(body: bytes, wanted: Mapping[int, int]) -> dict[int, Traffic] | None:
    """The blocks of an answer under the ids of their requests, whose block numbers are `wanted`.

    None where the answer has another form than nodes mostly give: then it must be parsed.
    """
    text = np.frombuffer(body, np.uint8)
    try:
        starts: list[int] = RESULT.places(text, _places(text, RESULT.letter)).tolist()
        if len(starts) != len(wanted):
            return None
        bounds = [0, *starts, len(body)]
        ids = _ids(body, bounds)
        if len(ids) != len(wanted) or set(ids) != set(wanted):
            return None
        skimmed = _skimmed(text, bounds[1:])
        if not _is_whole(body, skimmed, starts[-1]):
            return None
        found = {
            number: _block(body, skimmed, place, (start, end))
            for place, (number, (start, end)) in enumerate(
                zip(ids, pairwise(bounds[1:]), strict=True)
            )
        }
    except (ValueError, IndexError):
        return None
    right = all(block.header.number == wanted[number] for number, block in found.items())
    return found if right else None


def _places(text: Bytes, letter: bytes) -> Places:
    is_there = text == letter[0]
    if np.count_nonzero(is_there) > len(text) // MOST_RARE:
        raise _Odd("the letter is rare")
    return np.flatnonzero(is_there)


def _ids(body: bytes, bounds: list[int]) -> list[int]:
    """The ids in the order of the results: all stand before their result, or all behind it."""
    found = []
    for start, end in pairwise(bounds):
        for part in body[max(start, end - ID_NEAR) : end].split(ID)[1:]:
            digits = part[:24].partition(b",")[0].partition(b"}")[0]
            found.append(int(digits))
    return found


def _skimmed(text: Bytes, bounds: Sequence[int]) -> _Skimmed:
    """Every transaction, all at once; `bounds` are where the results begin, and the end."""
    rare = _places(text, FROM.letter)
    senders, recipients = FROM.places(text, rare), TO.places(text, rare)
    of_block = np.searchsorted(senders, bounds)
    for others in (recipients, INDEX.places(text, rare)):
        if of_block[0] or not np.array_equal(of_block, np.searchsorted(others, bounds)):
            raise _Odd("each block has as many senders as recipients and indexes")
    if not (_alternate(senders, recipients) or _alternate(recipients, senders)):
        raise _Odd("each sender has its recipient")
    return _Skimmed(
        at=senders,
        senders=_addresses(text, senders),
        recipients=_recipients(text, recipients),
        hashes=_block_hashes(text, senders, BLOCK_HASH.places(text, rare), bounds, of_block),
        bounds=of_block.tolist(),
    )


def _alternate(firsts: Places, seconds: Places) -> bool:
    return bool((firsts < seconds).all() and (seconds[:-1] < firsts[1:]).all())


def _block_hashes(
    text: Bytes, senders: Places, hashes: Places, bounds: Sequence[int], of_block: Places
) -> list[bytes]:
    """Which block each block's transactions say that they are of, b"" where it has none; nodes
    say it before a transaction's sender."""
    firsts, counts = of_block[:-1], np.diff(of_block)
    is_filled = counts > 0
    # Where each transaction's part begins: behind the sender before it, or with its block.
    begun = np.concatenate(([0], senders[:-1]))
    begun[firsts[is_filled]] = np.asarray(bounds[:-1])[is_filled]
    last = hashes[np.searchsorted(hashes, senders) - 1]
    if (last < begun).any() or (last > senders).any() or (text[last + HASH] != ord('"')).any():
        raise _Odd("every transaction says of which block it is, before its sender")
    told = _cut(text, last, HASH)
    if (told != told[np.repeat(firsts, counts)]).any():
        raise _Odd("all transactions of a block say the same")
    each = iter(_pieces(told[firsts[is_filled]].tobytes(), HASH))
    return [next(each) if filled else b"" for filled in is_filled.tolist()]


def _addresses(text: Bytes, places: Places) -> list[bytes]:
    """The addresses in quotes, whose first is already behind."""
    if (text[places] != ord("0")).any() or (text[places + 1] != ord("x")).any():
        raise _Odd("an address begins with 0x")
    if (text[places + ADDRESS] != ord('"')).any():
        raise _Odd("an address has 20 bytes")
    return _pieces(unhexlify(_cut(text, places + 2, ADDRESS - 2).tobytes()), 20)


def _recipients(text: Bytes, places: Places) -> list[bytes | None]:
    is_quoted = text[places] == ord('"')
    rest = _cut(text, places[~is_quoted], len(NULL) + 1)
    is_null = (rest[:, :-1] == np.frombuffer(NULL, np.uint8)).all()
    if not is_null or not np.isin(rest[:, -1], np.frombuffer(b",}", np.uint8)).all():
        raise _Odd("a recipient is an address or null")
    told = iter(_addresses(text, places[is_quoted] + 1))
    return [next(told) if quoted else None for quoted in is_quoted.tolist()]


def _cut(text: Bytes, places: Places, size: int) -> Bytes:
    """So many bytes from each place on, a row for each; IndexError beyond the end."""
    windows = np.ndarray(len(text) - size + 1, f"V{size}", text, strides=(1,))
    found: Bytes = windows[places].view(np.uint8).reshape(-1, size)
    return found


def _pieces(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def _is_whole(body: bytes, skimmed: _Skimmed, last: int) -> bool:
    """Whether all that was open at the answer's last sender, or where its last result begins, is
    closed at the end: else the answer was cut off."""
    is_within = bool(skimmed.bounds[-1] > skimmed.bounds[-2])
    tail = body[int(skimmed.at[-1]) if is_within else last :].rstrip()
    braces, brackets = tail.count(b"}") - tail.count(b"{"), tail.count(b"]") - tail.count(b"[")
    return tail[-1:] == b"]" and (braces, brackets) == ((3, 2) if is_within else (1, 1))


def _block(body: bytes, skimmed: _Skimmed, place: int, within: tuple[int, int]) -> Traffic:
    """The block whose result is the answer's `place`th, between these bytes."""
    start, end = within
    first, last = skimmed.bounds[place : place + 2]
    if first == last and body.find(NO_TRANSACTIONS, start, end) < 0:
        raise _Odd("transactions are whole, not their hashes")
    # The header's fields stand before the first transaction or behind the last.
    found = FIELD.findall(body, start, skimmed.at[first] if first < last else end)
    found += FIELD.findall(body, skimmed.at[last - 1], end) if first < last else []
    fields, hashes = _fields(found)
    own = skimmed.hashes[place] or hashes[0]
    if hashes.count(own) != 1:
        raise _Odd("the transactions are of this block")
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
            transaction_count=last - first,
        ),
        senders=tuple(skimmed.senders[first:last]),
        recipients=tuple(skimmed.recipients[first:last]),
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
    if len(text) != HASH or text[:2] != b"0x":
        raise _Odd("a hash has 32 bytes")
    return unhexlify(text[2:])

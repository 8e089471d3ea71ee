"""Transfers of tokens as contracts log them, by the standards ERC-20 and ERC-721; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from moonx.core.chains.blocks import Log

# keccak256("Transfer(address,address,uint256)"): both standards have the same event.
TRANSFER = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
WORD, PADDING = 32, b"\0" * 12


class Standard(StrEnum):
    """How a token is counted."""

    ERC20 = "erc20"  # by amount
    ERC721 = "erc721"  # each piece is its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """`value` raw units of a token, or the token that has the id `value`, changed hands."""

    standard: Standard
    token: bytes
    sender: bytes
    recipient: bytes
    value: int
    log: Log


def transfers(logs: Iterable[Log]) -> list[Transfer]:
    """The transfers among logs, in their order; what only looks like one is left out.

    A token says by its topics which standard it follows: ERC-20 marks sender and recipient, ERC-721
    the piece too. Tokens from before the standards mark nothing and say all three as data.
    """
    return [found for log in logs if (found := _transfer(log)) is not None]


def _transfer(log: Log) -> Transfer | None:
    if not log.topics or log.topics[0] != TRANSFER:
        return None
    words = [*log.topics[1:], *_words(log.data)]
    if len(words) != 3 or len(log.data) != WORD * (4 - len(log.topics)):
        return None
    sender, recipient, value = words
    if sender[:12] != PADDING or recipient[:12] != PADDING:
        return None
    return Transfer(
        standard=Standard.ERC721 if len(log.topics) == 4 else Standard.ERC20,
        token=log.address,
        sender=sender[12:],
        recipient=recipient[12:],
        value=int.from_bytes(value),
        log=log,
    )


def _words(data: bytes) -> list[bytes]:
    return [data[start : start + WORD] for start in range(0, len(data), WORD)]

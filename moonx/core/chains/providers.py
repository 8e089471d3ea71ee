"""Who serves a chain: the nodes that the settings name, by public names beside secret URLs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

from django.conf import settings
from pydantic import SecretStr

from moonx.core.resilience import Backoff, limits

TIMEOUT_S = 10.0
LONGEST_SAID = 160
AGAIN = Backoff(first_s=1.0, longest_s=30.0, tries=4)
ALCHEMY = "alchemy"
ALCHEMY_NETWORKS = {
    "ethereum": "eth-mainnet",
    "base": "base-mainnet",
    "bsc": "bnb-mainnet",
    "polygon": "polygon-mainnet",
    "optimism": "opt-mainnet",
    "arbitrum": "arb-mainnet",
}
# A label so long, or of so many hexadecimal digits, is somebody's key or project.
KEY_LIKE = re.compile(r"[0-9a-z-]{24,}|(?=[a-f]*[0-9])[0-9a-f]{12,}", re.IGNORECASE)
IP = re.compile(r"[0-9.]+|.*:.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One node, or a service in front of many. Only `name` may be shown."""

    name: str
    chain: str
    url: SecretStr = field(repr=False)
    timeout_s: float = TIMEOUT_S
    again: Backoff = AGAIN

    def censored(self, text: str) -> str:
        """What the provider says, without any part of its own URL that may be a key; cut behind 160
        characters."""
        parts = urlsplit(self.url.get_secret_value())
        secrets = re.split(r"[/?&=@:]", f"{parts.path}?{parts.query}?{parts.username or ''}")
        secrets += [parts.password or "", *KEY_LIKE.findall(parts.hostname or "")]
        for secret in sorted(filter(lambda each: len(each) > 4, secrets), key=len, reverse=True):
            text = text.replace(secret, "…")
        # Cut last: what is left of a key that straddles the cut would be no part of the URL.
        return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_SAID])


def of_chain(slug: str) -> tuple[Provider, ...]:
    """The chain's providers in the order in which they are asked; none where it is off.

    Declares the budget of those of Alchemy, whose requests the settings limit.
    """
    found = named(slug, list(_configured(slug)))
    return tuple(_as_set(one) if _is_alchemy(one.url.get_secret_value()) else one for one in found)


def _as_set(provider: Provider) -> Provider:
    """Alchemy with its budget and its retries as the settings have them."""
    env = settings.ENV
    limits.declare(provider.name, per_minute=env.alchemy_rate_limit_rpm)
    again = replace(AGAIN, first_s=env.alchemy_retry_delay / 1000, tries=1 + env.alchemy_retries)
    return replace(provider, again=again)


def _is_alchemy(url: str) -> bool:
    return public_name(url) == ALCHEMY


def named(slug: str, urls: Sequence[tuple[str, float]]) -> tuple[Provider, ...]:
    """Providers for URLs and their timeouts; the second of a name is called `name#2`."""
    found: dict[str, Provider] = {}
    taken: dict[str, int] = {}
    for url, timeout_s in urls:
        if url in found:
            continue
        name = public_name(url)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name = f"{name}#{taken[name]}"
        found[url] = Provider(name=name, chain=slug, url=SecretStr(url), timeout_s=timeout_s)
    return tuple(found.values())


def public_name(url: str) -> str:
    """What a URL's provider is called: its host, without what may be a key, and its port."""
    parts = urlsplit(url)
    host = parts.hostname or "unknown"
    if host == "g.alchemy.com" or host.endswith(".g.alchemy.com"):
        return ALCHEMY
    if not IP.fullmatch(host):
        host = ".".join("…" if KEY_LIKE.fullmatch(label) else label for label in host.split("."))
    return f"{host}:{parts.port}" if parts.port else host


def _configured(slug: str) -> Iterator[tuple[str, float]]:
    alchemy_timeout_s = settings.ENV.alchemy_timeout / 1000
    for url in settings.ENV.rpc_urls(slug):
        yield url, alchemy_timeout_s if _is_alchemy(url) else TIMEOUT_S
    if key := settings.ENV.alchemy_key(slug):
        network = ALCHEMY_NETWORKS[slug]
        yield f"https://{network}.g.alchemy.com/v2/{quote(key, safe='')}", alchemy_timeout_s

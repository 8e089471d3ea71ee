"""Which chains there are, found by slug or id, and which of them are on."""

from moonx.core.chains import providers
from moonx.core.chains.models import Chain


class UnknownChain(LookupError):
    """No chain has this slug or id; the message says which there are. Permanent."""


def find(slug_or_id: str) -> Chain:
    """The chain of a slug such as `base`, or of an id such as `8453`.

    Raises UnknownChain with a sentence for whoever asked.
    """
    wanted = slug_or_id.strip().lower()[:40]
    for chain in Chain.objects.all():
        if wanted in {chain.slug, str(chain.chain_id)}:
            return chain
    known = ", ".join(Chain.objects.values_list("slug", flat=True))
    raise UnknownChain(f"No chain is called {wanted!r}. There are: {known or 'none'}.")


def all() -> list[Chain]:  # noqa: A001 - read as registry.all()
    """Every chain, on or off, by id."""
    return list(Chain.objects.all())


def enabled() -> list[Chain]:
    """The chains that are on: wanted by operators, and served by a provider at least."""
    return [chain for chain in all() if chain.is_enabled and providers.of_chain(chain.slug)]

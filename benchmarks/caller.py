"""`python -m benchmarks.caller`: matches the markets whose ids come in, a line each time."""

import sys

import django


def main() -> None:
    """Answers each line of market ids once their orders have been taken."""
    django.setup()
    from apps.exchange import matching
    from apps.exchange.models import Market

    markets = {market.pk: market for market in Market.objects.select_related("base", "quote")}
    print("ready", flush=True)
    for line in sys.stdin:
        taken = sum(matching.match(markets[int(pk)]) for pk in line.split())
        print(taken, flush=True)


if __name__ == "__main__":
    main()

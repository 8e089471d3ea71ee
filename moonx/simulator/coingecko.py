"""CoinGecko: prices by coin and by contract, markets, lists."""

from typing import Any

from moonx.core.upstream import coins
from moonx.simulator import world
from moonx.simulator.serving import Reply, Request, Route, Service
from moonx.simulator.world import Listed

PLATFORMS = {
    "ethereum": 1,
    "polygon-pos": 137,
    "optimistic-ethereum": 10,
    "arbitrum-one": 42161,
    "base": 8453,
    "binance-smart-chain": 56,
}
IMAGES = "https://coin-images.coingecko.com"
MOST_A_PAGE, USUAL_A_PAGE = 250, 100
SPANS = ("1h", "24h", "7d", "14d", "30d", "200d", "1y")


def simple_price(request: Request) -> Reply:
    """GET /simple/price: unknown ids are left out."""
    currencies = _currencies(request)
    wanted = _listed(request)
    found = {
        one.gecko: _priced(one, request, currencies) for one in world.LISTED if one.gecko in wanted
    }
    return Reply(body=found)


def token_price(request: Request) -> Reply:
    """GET /simple/token_price/{platform}."""
    chain_id = PLATFORMS.get(request.args[0])
    if chain_id is None:
        return _error(404, "invalid asset platform id")
    currencies = _currencies(request)
    found = {}
    for address in request.needed("contract_addresses").split(","):
        coin = world.coin_at(chain_id, address)
        listed = world.listed_by(symbol=coin.symbol) if coin else None
        if listed is not None:
            found[address.lower()] = _priced(listed, request, currencies)
    return Reply(body=found)


def _listed(request: Request) -> set[str]:
    """The ids that are asked for, also by symbols and names; all where none is named."""
    ids = set(request.given("ids").split(","))
    symbols = set(request.given("symbols").upper().split(","))
    names = set(request.given("names").lower().split(","))
    found = {
        one.gecko
        for one in world.LISTED
        if one.gecko in ids or one.symbol in symbols or one.name.lower() in names
    }
    is_narrowed = any(request.given(name) for name in ("ids", "symbols", "names"))
    return found if is_narrowed else {one.gecko for one in world.LISTED}


def _currencies(request: Request) -> set[str]:
    """Those that prices are wanted in; BadRequest where none is named."""
    return set(request.needed("vs_currencies").lower().split(","))


def _priced(listed: Listed, request: Request, currencies: set[str]) -> dict[str, Any]:
    """The coin in those of `currencies` that are known, which is the dollar."""
    usd = world.usd(listed, now_s=request.now_s)
    extra = {
        "include_market_cap": ("usd_market_cap", world.number(usd * listed.supply)),
        "include_24hr_vol": ("usd_24h_vol", world.number(usd * 0 + listed.volume24h)),
        "include_24hr_change": ("usd_24h_change", _change(listed, request.now_s)),
    }
    asked = dict(pair for flag, pair in extra.items() if request.given(flag) == "true")
    told = {"usd": world.number(usd, places=6), **asked} if "usd" in currencies else {}
    if request.given("include_last_updated_at") == "true":
        told["last_updated_at"] = int(request.now_s) - 20
    return told


def _change(listed: Listed, now_s: float) -> float:
    before = world.usd(listed, now_s=now_s - world.DAY_S)
    return world.number((world.usd(listed, now_s=now_s) - before) / before * 100, places=5)


def markets(request: Request) -> Reply:
    """GET /coins/markets, paged; a page beyond the last is empty."""
    if request.needed("vs_currency") != "usd":
        return _error(400, "invalid vs_currency")
    per_page = min(MOST_A_PAGE, _number(request, "per_page", USUAL_A_PAGE))
    page = max(1, _number(request, "page", 1))
    wanted = _listed(request)
    ranked = sorted(world.LISTED, key=lambda one: one.usd * one.supply, reverse=True)
    found = [_market(one, place + 1, request) for place, one in enumerate(ranked)]
    shown = [row for row in found if row["id"] in wanted]
    return Reply(body=shown[(page - 1) * per_page : page * per_page])


def _number(request: Request, name: str, usual: int) -> int:
    found = world.whole(request.given(name))
    return usual if found is None else found


def _market(listed: Listed, rank: int, request: Request) -> dict[str, Any]:
    now_s = request.now_s
    usd = world.usd(listed, now_s=now_s)
    change, worth = _change(listed, now_s), usd * listed.supply
    row = {
        "id": listed.gecko,
        "symbol": listed.symbol.lower(),
        "name": listed.name,
        "image": f"{IMAGES}/coins/images/{rank}/large/{listed.gecko}.png",
        "current_price": world.number(usd, places=6),
        "market_cap": world.number(worth),
        "market_cap_rank": rank,
        "fully_diluted_valuation": world.number(worth),
        "total_volume": listed.volume24h,
        "high_24h": world.number(usd * 101 / 100, places=6),
        "low_24h": world.number(usd * 99 / 100, places=6),
        "price_change_24h": world.number(usd * int(change * 1000) / 100_000, places=8),
        "price_change_percentage_24h": change,
        "market_cap_change_24h": world.number(worth * int(change * 1000) / 100_000),
        "market_cap_change_percentage_24h": change,
        "circulating_supply": listed.supply,
        "total_supply": listed.supply,
        "max_supply": listed.supply,
        **_extremes(listed),
        "roi": None,
        "last_updated": world.iso(now_s),
        "market_cap_rank_with_rehypothecated": rank,
    }
    return row | _asked_for(listed, request)


def _extremes(listed: Listed) -> dict[str, Any]:
    return {
        "ath": world.number(listed.usd * 2, places=6),
        "ath_change_percentage": -50.0,
        "ath_date": "2025-10-06T18:57:42.558Z",
        "atl": world.number(listed.usd / 100, places=6),
        "atl_change_percentage": 9900.0,
        "atl_date": "2013-07-06T00:00:00.000Z",
    }


def _asked_for(listed: Listed, request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if request.given("sparkline") == "true":
        hours = [request.now_s - 3600 * back for back in reversed(range(168))]
        prices = [world.number(world.usd(listed, now_s=hour), places=6) for hour in hours]
        found["sparkline_in_7d"] = {"price": prices}
    for span in request.given("price_change_percentage").split(","):
        if span in SPANS:
            key = f"price_change_percentage_{span}_in_currency"
            found[key] = _change(listed, request.now_s)
    return found


def listing(request: Request) -> Reply:
    """GET /coins/list: all at once."""
    has_platforms = request.given("include_platform") == "true"
    return Reply(body=[_entry(one, has_platforms=has_platforms) for one in world.LISTED])


def _entry(listed: Listed, *, has_platforms: bool) -> dict[str, Any]:
    row = {"id": listed.gecko, "symbol": listed.symbol.lower(), "name": listed.name}
    if not has_platforms:
        return row
    names = {chain_id: name for name, chain_id in PLATFORMS.items()}
    owned = [coin for coin in coins.COINS if coin.symbol == listed.symbol]
    return {**row, "platforms": {names[coin.chain_id]: coin.address.lower() for coin in owned}}


def platforms(_: Request) -> Reply:
    """GET /asset_platforms."""
    return Reply(body=[_platform(name, chain_id) for name, chain_id in PLATFORMS.items()])


def _platform(name: str, chain_id: int) -> dict[str, Any]:
    chain = world.chain_by(chain_id=chain_id)
    shown = chain.name if chain else name
    native = world.listed_by(symbol=chain.native if chain else "")
    sizes = ("thumb", "small", "large")
    images = {size: f"{IMAGES}/asset_platforms/images/{chain_id}/{size}/x.png" for size in sizes}
    return {
        "id": name,
        "chain_identifier": chain_id,
        "name": shown,
        "shortname": shown,
        "native_coin_id": native.gecko if native else "",
        "image": images,
    }


def _error(status: int, message: str) -> Reply:
    return Reply(status=status, body={"error": message})


def _status_error(status: int, message: str, **headers: str) -> Reply:
    told = {"error_code": status, "error_message": message}
    return Reply(status=status, body={"status": told}, headers=headers)


def _too_much() -> Reply:
    message = (
        "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to "
        "subscribe to our API plans for higher rate limits."
    )
    return _status_error(429, message, **{"retry-after": "60"})


SERVICE = Service(
    name="coingecko",
    prefix="/coingecko",
    latency_ms=160,
    routes=(
        Route("GET", "/api/v3/ping", lambda _: Reply(body={"gecko_says": "(V3) To the Moon!"})),
        Route("GET", "/api/v3/simple/price", simple_price),
        Route("GET", "/api/v3/simple/token_price/([^/]+)", token_price),
        Route("GET", "/api/v3/coins/markets", markets),
        Route("GET", "/api/v3/coins/list", listing),
        Route("GET", "/api/v3/asset_platforms", platforms),
    ),
    refuse=lambda message: _error(422, message),
    unknown=lambda: _error(404, "coin not found"),
    rate_limited=_too_much,
    failed=lambda: _status_error(503, "Service unavailable"),
)

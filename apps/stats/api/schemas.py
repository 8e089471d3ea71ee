"""What the answers of statistics look like, for the interface document."""

from datetime import date
from typing import Annotated

from pydantic import Field

from apps.stats.api.asked import Camel, Step
from apps.stats.chains.providers import State
from apps.stats.vocabulary import Verdict

Moment = Annotated[int, Field(description="Time, ms", examples=[1_764_168_000_000])]
Rate = Annotated[str, Field(description="Decimal", examples=["0.9931"])]
Usd = Annotated[str, Field(description="US dollars, decimal", examples=["1250000.5"])]
Lasting = Annotated[int, Field(description="Duration, ms", examples=[1_200])]
Share = Annotated[
    str, Field(description="Part of the window of which all blocks are known", examples=["1"])
]
Faults = Annotated[
    dict[str, int], Field(description="How many failed, by class", examples=[{"timeout": 1}])
]
Simulated = Annotated[bool, Field(description="Figures come from the simulator, not the world")]


class Reason(Camel):
    """A rule that did not hold: what was measured, and the limit it broke. `provider` and `cause`
    are there where a provider is to blame, and not the chain."""

    rule: str = Field(examples=["headAge"])
    value: int | str | None = Field(examples=[62_000])
    limit: int | str | None = Field(examples=[60_000])
    provider: str = ""
    cause: str = ""


class Provider(Camel):
    """A node of a chain, judged apart from the chain."""

    name: str = Field(examples=["rpc.rei.network"])
    state: State
    lag_blocks: int | None
    error_rate: Rate | None
    p95_ms: Lasting | None


class BlockTimes(Camel):
    """Percentiles of the times between the last blocks, nearest rank; null below 30 blocks."""

    p50: int | None = Field(examples=[2_000])
    p95: int | None
    p99: int | None
    n: int


class Reorgs(Camel):
    """Reorganisations of the last hour."""

    count: int
    max_depth: int


class ChainFigures(Camel):
    """What is measured of a chain."""

    verdict: Verdict
    block_time_ms: BlockTimes
    tps: Rate | None
    gas_used_ratio: Rate | None
    base_fee_wei: str | None = Field(examples=["1000000007"])
    head: int | None
    head_age_ms: Lasting | None
    finality_lag_ms: Lasting | None
    reorgs1h: Reorgs
    simulated: Simulated


class Aged(Camel):
    """How old what is told is: `isStale` where nothing newer came when it should have, beyond the
    age `staleAfterMs`, which follows the schedule."""

    age_ms: Lasting | None
    is_stale: bool
    stale_after_ms: Lasting


class ChainShown(ChainFigures, Aged):
    """A chain: as the event `stats.chain_performance_updated` tells it, and its age."""

    name: str = Field(examples=["REI Network"])
    native_asset: str = Field(examples=["REI"])
    is_enabled: bool = Field(description="Wanted by operators, and served by a node at least")
    block_time_target_ms: Lasting
    chain: str = Field(examples=["rei"])
    chain_id: int = Field(examples=[47_805])
    reasons: list[Reason]
    providers: list[Provider]
    volume24h_usd: Usd | None
    tvl_usd: Usd | None
    sampled_at: Moment | None
    seq: int
    heartbeat: bool
    as_of: Moment | None


class Chains(Camel):
    """All chains, by id."""

    as_of: Moment
    chains: list[ChainShown]


class Latency(Camel):
    """Percentiles of the quotes that came, nearest rank."""

    p50: int | None = Field(examples=[420])
    p95: int | None
    n: int


class Latencies(Latency):
    """Of the last hour and, after `day`, of the last day. `censored` counts requests that nobody
    waited for any longer."""

    p90: int | None
    p99: int | None
    censored: int
    day_p50: int | None
    day_p90: int | None
    day_p95: int | None
    day_p99: int | None
    day_n: int
    day_censored: int


class BridgeFigures(Camel):
    """What is measured of a bridge in one corridor for one size."""

    verdict: Verdict
    success_rate: Rate | None
    errors: Faults
    simulated: Simulated


class Corridor(Camel):
    """From which chain to which a bridge was asked, and for how much."""

    provider: str = Field(examples=["lifi"])
    from_: str = Field(examples=["ethereum"])
    to: str = Field(examples=["base"])
    size: str = Field(examples=["1000"])


class BridgeShown(Corridor, BridgeFigures, Aged):
    """A bridge: as the event `stats.bridge_latency_updated` tells it, and its age."""

    latency_ms: Latencies
    reasons: list[Reason]
    sampled_at: Moment | None
    seq: int
    heartbeat: bool
    as_of: Moment | None


class Bridges(Camel):
    """All bridges, by provider, corridor and size."""

    as_of: Moment
    bridges: list[BridgeShown]


class Counts(Camel):
    """How many there are of each verdict."""

    healthy: int
    degraded: int
    unhealthy: int
    unknown: int


class Overview(Aged):
    """Chains and bridges by verdict, and totals; null where nothing is known."""

    as_of: Moment
    published_at: Moment | None
    chains: Counts
    bridges: Counts
    active24h: int | None
    volume24h: Usd | None
    tvl: Usd | None
    simulated: bool = Field(description="Volume or value locked comes from the simulator")
    simulated_bridges: bool = Field(description="Some bridge's quotes come from the simulator")
    seq: int
    heartbeat: bool


class Spanned(Camel):
    """A window, and how its points lie."""

    from_: Moment
    to: Moment
    step: Step
    as_of: Moment


class ChainPoint(ChainFigures):
    """A chain at one time, or over one hour: then ages and lags are its largest."""

    time: Moment
    latency_ms: int | None = Field(description="The providers' median", examples=[120])
    samples: int = Field(description="Looks that it is made of")
    healthy: int = Field(description="Those at which the chain was shown healthy")
    volume24h_usd: Usd | None
    tvl_usd: Usd | None


class ChainHistory(Spanned):
    """A chain's figures over time, oldest first."""

    chain: str
    chain_id: int
    points: list[ChainPoint]


class BridgePoint(BridgeFigures):
    """A bridge at one time, or over one hour."""

    time: Moment
    latency_ms: Latency


class BridgeSeries(Corridor):
    """A bridge's figures over time, oldest first."""

    points: list[BridgePoint]


class BridgeHistory(Spanned):
    """One series for each bridge, corridor and size that matches."""

    series: list[BridgeSeries]


class Counted(Camel):
    """Distinct addresses and transactions; null where nothing is known of the window."""

    senders: int | None = Field(description="Distinct senders of transactions")
    participants: int | None = Field(description="Distinct senders and recipients")
    transactions: int | None
    coverage: Share


class Checked(Counted):
    """Counts, and what a HyperLogLog sketch of the senders says, each the other's check."""

    hll: int | None = Field(description="Distinct senders by the sketch", examples=[12_300])
    hll_error: str = Field(
        description="One standard error of that, relative, decimal", examples=["0.0081"]
    )


class Activity(Checked, Aged):
    """Who was active in a window. Distinct addresses of parts must not be added up."""

    chain: str
    chain_id: int
    from_: Moment
    to: Moment
    exact: bool
    first_block: int | None
    last_block: int | None
    last_processed_block: int | None
    updated_at: Moment | None
    as_of: Moment


class Hour(Checked):
    """One hour of the UTC calendar, from `time` on; of the running one, what has passed."""

    time: Moment


class Hours(Camel):
    """The last 24 whole hours and the running one, oldest first."""

    chain: str
    chain_id: int
    hours: list[Hour]
    as_of: Moment


class Day(Camel):
    """A day of the UTC calendar that is over: distinct addresses, counted exactly."""

    day: date = Field(examples=["2025-11-26"])
    time: Moment = Field(description="When it began, ms", examples=[1_764_115_200_000])
    senders: int = Field(description="Distinct senders of transactions", examples=[1_904])
    participants: int = Field(description="Distinct senders and recipients", examples=[2_311])
    transactions: int = Field(examples=[4_818])
    coverage: Share
    exact: bool = Field(description="Counted, not estimated", examples=[True])


class Estimate(Camel):
    """About how many were active in a span of days, merged from their sketches.

    Transactions are those of its days that are over, added up. All are null where none is.
    """

    from_: Moment
    to: Moment
    senders: int | None = Field(examples=[6_120])
    participants: int | None = Field(examples=[7_455])
    transactions: int | None = Field(examples=[31_002])
    days: int = Field(description="How many of its days are over and known", examples=[4])
    of_days: int = Field(examples=[7])
    coverage: Rate = Field(
        description="Share of the span's seconds of which everything is known", examples=["0.5688"]
    )
    estimated: bool = Field(description="Addresses are estimated", examples=[True])
    error: Rate = Field(
        description="Standard error of the addresses, relative: 1.04/√2¹⁴, decimal",
        examples=["0.008125"],
    )


class Days(Camel):
    """Days that are over, oldest first, and the week (from Monday) and month of the newest."""

    chain: str = Field(examples=["rei"])
    chain_id: int = Field(examples=[47_805])
    days: list[Day]
    week: Estimate
    month: Estimate
    as_of: Moment


class Former24h(Camel):
    """The last 24 hours as the former services told them: `dau` is the number of senders."""

    chain: str
    from_: Moment
    to: Moment
    dau: int | None
    participants: int | None
    transactions: int | None
    records: int
    coverage: Share
    last_processed_block: int | None
    status: str = Field(description="`running` or `idle`", examples=["idle"])
    as_of: Moment | None = Field(description="When a scan last got through, ms")


class Record(Camel):
    """One run of 1,200 blocks."""

    start_block: int
    end_block: int
    start_time: Moment
    end_time: Moment
    transactions: int
    unique_addresses: int


class MergedRecords(Record):
    """The newest whole records, up to 24, as one: who is in several of them is counted once."""

    records: int


class FormerHistory(Camel):
    """The records that are kept, oldest first. Their addresses must not be added up."""

    chain: str
    retention_days: int
    records: list[Record]
    last24: MergedRecords | None

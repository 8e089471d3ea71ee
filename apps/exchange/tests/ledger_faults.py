# ruff: noqa: S608 - constants only
"""Faults of every kind in the ledger and the orders, and the invariants that each breaks."""

TRADED = "(SELECT id FROM exchange_journal WHERE kind = 'trade' ORDER BY id LIMIT 1)"
FEES = "(SELECT id FROM exchange_account WHERE house = 'fees')"
DEMO = "(SELECT id FROM exchange_account WHERE house = 'demo' ORDER BY id LIMIT 1)"
PAID = "(SELECT id FROM exchange_account WHERE owner_id IS NOT NULL AND balance > 9 ORDER BY id {})"
TAKER = "client_order_id = 'taker'"
RESTING = "client_order_id = 'resting'"  # and filled in part since
QUIET = "client_order_id = 'quiet'"
COPY = (
    """INSERT INTO exchange_entry SELECT {}, account_id, asset_id, amount
FROM exchange_entry WHERE journal_id = """
    + TRADED
)

# What is done, which invariants it breaks, and how it is done.
FAULTS: dict[str, tuple[str, list[str]]] = {
    "a done order holds": (
        "done_orders_hold_nothing",
        [
            "ALTER TABLE exchange_order DROP CONSTRAINT order_that_is_done_holds_nothing",
            f"UPDATE exchange_order SET held = hold WHERE {TAKER}",
        ],
    ),
    "an entry is changed": (
        "journals_balance assets_sum_to_zero journals_pay_what_was_traded",
        [
            f"UPDATE exchange_entry SET amount = amount + 1 WHERE account_id = {FEES} "
            f"AND journal_id = {TRADED}"
        ],
    ),
    "a journal is empty": (
        "journals_have_entries",
        [
            "INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id) "
            "VALUES ('deposit', 'a', 0, '', '')"
        ],
    ),
    "entries have no journal": ("entries_have_journals", [COPY.format(10**9)]),
    "an entry has more digits than its asset": (
        "entries_fit_their_account",
        [
            "INSERT INTO exchange_journal (id, kind, source, epoch, reason, correlation_id) "
            "VALUES (1000000, 'deposit', 'a', 0, '', '')",
            "INSERT INTO exchange_entry SELECT 1000000, id, asset_id, "
            "CASE house WHEN 'fees' THEN 1e-18 ELSE -1e-18 END FROM exchange_account "
            "WHERE house IN ('fees', 'demo') AND asset_id = "
            f"(SELECT asset_id FROM exchange_account WHERE id = {FEES})",
        ],
    ),
    "a balance is changed": (
        "balances_follow_entries assets_sum_to_zero",
        [f"UPDATE exchange_account SET balance = balance + 1 WHERE id = {PAID.format('LIMIT 1')}"],
    ),
    "two balances are changed": (
        "balances_follow_entries",
        [
            "UPDATE exchange_account SET balance = balance + CASE owner_id WHEN "
            "(SELECT min(owner_id) FROM exchange_account) THEN 1 ELSE -1 END "
            "WHERE asset_id = (SELECT min(asset_id) FROM exchange_account) AND owner_id IS NOT NULL"
        ],
    ),
    "an account holds more than its orders": (
        "accounts_hold_what_orders_hold",
        [f"UPDATE exchange_account SET held = held + 1 WHERE id = {PAID.format('LIMIT 1')}"],
    ),
    "a hold was released twice": (
        "accounts_hold_what_orders_hold",
        [
            "UPDATE exchange_account a SET held = a.held - 1 FROM exchange_order o "
            f"WHERE o.{RESTING} AND a.id = o.quote_account_id"
        ],
    ),
    "an order uses another's account": (
        "orders_use_their_owners_accounts",
        [
            f"UPDATE exchange_order o SET base_account_id = (SELECT base_account_id FROM "
            f"exchange_order n WHERE n.owner_id <> o.owner_id LIMIT 1) WHERE o.{QUIET}"
        ],
    ),
    "an order holds less than it needs": (
        "open_orders_hold_what_they_need",
        [
            "UPDATE exchange_account a SET held = a.held - 1 FROM exchange_order o "
            f"WHERE o.{RESTING} AND a.id = o.quote_account_id",
            f"UPDATE exchange_order o SET held = held - 1 WHERE o.{RESTING}",
        ],
    ),
    "an order holds more than it needs": (
        "open_orders_hold_what_they_need",
        [
            "UPDATE exchange_account a SET held = a.held + 1 FROM exchange_order o "
            f"WHERE o.{RESTING} AND a.id = o.quote_account_id",
            f"UPDATE exchange_order o SET held = held + 1, hold = hold + 1 WHERE o.{RESTING}",
        ],
    ),
    "a fill is another's": (
        "orders_are_their_fills",
        ["UPDATE exchange_fill SET owner_id = owner_id + 1 WHERE is_maker AND seq = 1"],
    ),
    "an order forgets a fill": (
        "orders_are_their_fills orders_pay_their_rate statuses_tell_the_fills",
        [f"UPDATE exchange_order SET filled_quantity = 0, filled_quote = 0 WHERE {TAKER}"],
    ),
    "an order pays another rate than its own": (
        "orders_pay_their_rate",
        [f"UPDATE exchange_order SET taker_fee_bps = taker_fee_bps + 1 WHERE {TAKER}"],
    ),
    "a filled order is canceled": (
        "statuses_tell_the_fills",
        [f"UPDATE exchange_order SET status = 'CANCELED' WHERE {TAKER}"],
    ),
    "an order filled after its end": (
        "fills_keep_to_their_order",
        [f"UPDATE exchange_order SET expires_at = created_at WHERE {TAKER}"],
    ),
    "an order filled beyond its price": (
        "fills_keep_to_their_order",
        [f"UPDATE exchange_order SET price = 1999 WHERE {TAKER}"],
    ),
    "a fill has another time than its trade": (
        "trades_have_two_fills",
        [
            "UPDATE exchange_fill SET executed_at = executed_at + interval '1 s' "
            "WHERE is_maker AND seq = 1"
        ],
    ),
    "a fill is lost": (
        "trades_have_two_fills orders_are_their_fills journals_pay_what_was_traded",
        ["DELETE FROM exchange_fill WHERE is_maker AND seq = 1"],
    ),
    "a fill belongs to no order": (
        "fills_have_a_trade",
        [
            "INSERT INTO exchange_fill (market_id, seq, order_id, owner_id, side, is_maker, price, "
            "quantity, quote_quantity, fee, executed_at) SELECT market_id, seq + 1000, 1000000000, "
            "owner_id, side, is_maker, price, quantity, quote_quantity, fee, executed_at "
            "FROM exchange_fill WHERE is_maker AND seq = 1"
        ],
    ),
    "a trade is lost": (
        "fills_have_a_trade trade_journals_have_a_trade bars_are_their_trades",
        ["DELETE FROM exchange_trade WHERE seq = 2"],
    ),
    "a trade was paid twice": (
        "trades_have_one_journal",
        [
            "INSERT INTO exchange_journal (id, kind, source, epoch, reason, correlation_id) "
            "SELECT 1000000, kind, source, epoch + 1, '', '' FROM exchange_journal "
            f"WHERE id = {TRADED}",
            COPY.format(1000000),
            "UPDATE exchange_account a SET balance = balance + e.amount FROM exchange_entry e "
            "WHERE e.account_id = a.id AND e.journal_id = 1000000 AND a.owner_id IS NOT NULL",
        ],
    ),
    "a trade was not paid": (
        "trades_have_one_journal",
        [
            "UPDATE exchange_account a SET balance = balance - e.amount FROM exchange_entry e "
            f"WHERE e.account_id = a.id AND e.journal_id = {TRADED} AND a.owner_id IS NOT NULL",
            f"DELETE FROM exchange_entry WHERE journal_id = {TRADED}",
            f"DELETE FROM exchange_journal WHERE id = {TRADED}",
        ],
    ),
    "a journal is about no trade": (
        "trades_have_one_journal trade_journals_have_a_trade",
        [f"UPDATE exchange_journal SET source = 'ETHUSDC:01' WHERE id = {TRADED}"],
    ),
    "a journal pays the wrong amount": (
        "journals_pay_what_was_traded",
        [
            "UPDATE exchange_entry e SET amount = amount + CASE WHEN amount > 0 THEN 1 ELSE -1 END "
            f"WHERE journal_id = {TRADED} AND asset_id = "
            "(SELECT id FROM exchange_asset WHERE symbol = 'ETH')",
            "UPDATE exchange_account a SET balance = a.balance + CASE WHEN e.amount > 0 THEN 1 "
            "ELSE -1 END FROM exchange_entry e WHERE e.account_id = a.id AND "
            f"e.journal_id = {TRADED} AND e.asset_id = "
            "(SELECT id FROM exchange_asset WHERE symbol = 'ETH')",
        ],
    ),
    "an order outlives its end": (
        "nothing_is_overdue",
        [
            "UPDATE exchange_order SET expires_at = clock_timestamp() - interval '61 s' "
            f"WHERE {QUIET}"
        ],
    ),
    "an order waits for ever": (
        "nothing_waits_to_be_matched",
        [
            "UPDATE exchange_order SET stage = 'arrived', "
            f"created_at = created_at - interval '61 s' WHERE {QUIET}"
        ],
    ),
    "a bar is changed": (
        "bars_are_their_trades",
        ["UPDATE exchange_candle SET high = high + 1 WHERE interval = '1m'"],
    ),
    "a bar is made up": (
        "bars_are_their_trades",
        [
            "INSERT INTO exchange_candle (market_id, interval, open_time, open, high, low, close, "
            "base_volume, quote_volume, taker_base_volume, taker_quote_volume, trade_count, "
            "first_seq, last_seq, revision) SELECT market_id, interval, open_time + interval '1 h',"
            " open, high, low, close, base_volume, quote_volume, taker_base_volume, "
            "taker_quote_volume, trade_count, first_seq, last_seq, 0 FROM exchange_candle "
            "WHERE interval = '1m' LIMIT 1"
        ],
    ),
    "a bust returns nothing": (
        "amended_trades_are_settled bars_are_their_trades",
        [
            "INSERT INTO exchange_amendment (market_id, seq, epoch, kind, first_id, last_id, "
            "price, quantity, quote_quantity, is_buyer_maker, executed_at, source, reason, by, "
            "correlation_id, created_at) SELECT market_id, seq, 1, 'bust', first_id, last_id, "
            "price, quantity, quote_quantity, is_buyer_maker, executed_at, source, 'a', 'b', '', "
            "clock_timestamp() FROM exchange_trade ORDER BY seq LIMIT 1",
            "DELETE FROM exchange_trade WHERE seq = (SELECT min(seq) FROM exchange_trade)",
        ],
    ),
    "a corrected trade stands as before": (
        "amended_trades_stand_as_amended amended_trades_are_settled",
        [
            "INSERT INTO exchange_amendment (market_id, seq, epoch, kind, first_id, last_id, "
            "price, quantity, quote_quantity, is_buyer_maker, executed_at, source, new_price, "
            "new_quantity, new_quote_quantity, taker_fee, maker_fee, reason, by, correlation_id, "
            "created_at) SELECT market_id, seq, 1, 'correction', first_id, last_id, price, "
            "quantity, quote_quantity, is_buyer_maker, executed_at, source, price + 1, quantity, "
            "quote_quantity + quantity, 0, 0, 'a', 'b', '', clock_timestamp() "
            "FROM exchange_trade ORDER BY seq LIMIT 1",
        ],
    ),
    "the transaction counter went back": (
        "transactions_count_on",
        [
            "UPDATE exchange_journal SET xid = '1099511627776' WHERE id = "
            "(SELECT min(id) FROM exchange_journal)"
        ],
    ),
}

from django.db import migrations

# A journal's entries come in one statement, which must balance. Only entries move balances: the
# running role may not write that column, this trigger does so with its owner's rights.
POSTING = """
CREATE FUNCTION exchange_post_entries() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  unbalanced record;
BEGIN
  SELECT journal_id, asset_id, sum(amount) AS total INTO unbalanced FROM posted
  GROUP BY journal_id, asset_id HAVING sum(amount) <> 0 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'journal % does not balance in asset %: %', unbalanced.journal_id,
      unbalanced.asset_id, unbalanced.total USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT account_id, asset_id FROM posted) p
    LEFT JOIN public.exchange_account a ON a.id = p.account_id AND a.asset_id = p.asset_id
    WHERE a.id IS NULL
  ) OR EXISTS (
    SELECT FROM (SELECT DISTINCT journal_id FROM posted) p
    LEFT JOIN public.exchange_journal j ON j.id = p.journal_id WHERE j.id IS NULL
  ) THEN
    RAISE EXCEPTION 'an entry names a journal or an account of its asset that there is not'
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  UPDATE public.exchange_account a SET balance = a.balance + p.amount
  FROM (SELECT account_id, sum(amount) AS amount FROM posted GROUP BY account_id) p
  WHERE a.id = p.account_id AND a.owner_id IS NOT NULL AND p.amount <> 0;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION exchange_post_entries() FROM PUBLIC;
CREATE TRIGGER exchange_entries_balance AFTER INSERT ON exchange_entry
  REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION exchange_post_entries();
"""

UNPOSTING = "DROP TRIGGER exchange_entries_balance ON exchange_entry; DROP FUNCTION exchange_post_entries();"

# An account begins with nothing, whatever the statement that opens it says.
OPENING = """
CREATE FUNCTION exchange_open_account() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.balance := CASE WHEN NEW.owner_id IS NOT NULL THEN 0 END;
  NEW.held := 0;
  RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION exchange_open_account() FROM PUBLIC;
CREATE TRIGGER exchange_account_opens_empty BEFORE INSERT ON exchange_account
  FOR EACH ROW EXECUTE FUNCTION exchange_open_account();
ALTER TABLE exchange_account ALTER COLUMN house SET DEFAULT '', ALTER COLUMN held SET DEFAULT 0;
"""

UNOPENING = "DROP TRIGGER exchange_account_opens_empty ON exchange_account; DROP FUNCTION exchange_open_account();"

APPEND_ONLY = """
CREATE FUNCTION exchange_append_only() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: correct it by another journal', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER exchange_journal_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange_journal
  FOR EACH STATEMENT EXECUTE FUNCTION exchange_append_only();
CREATE TRIGGER exchange_entry_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange_entry
  FOR EACH STATEMENT EXECUTE FUNCTION exchange_append_only();
"""

UNKEPT = """
DROP TRIGGER exchange_journal_is_kept ON exchange_journal;
DROP TRIGGER exchange_entry_is_kept ON exchange_entry;
DROP FUNCTION exchange_append_only();
"""

# Transactions are numbered as they begin: what is below the oldest one under way is complete, which
# neither ids nor times can tell.
XIDS = """
ALTER TABLE exchange_journal ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
ALTER TABLE exchange_journal ALTER COLUMN created_at SET DEFAULT clock_timestamp();
CREATE INDEX exchange_journal_by_xid ON exchange_journal (xid);
CREATE SEQUENCE exchange_priority_seq AS bigint CACHE 1;
"""

UNXIDS = "ALTER TABLE exchange_journal DROP COLUMN xid; DROP SEQUENCE exchange_priority_seq;"

GRANTS = """
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'moonx_app') THEN
    REVOKE UPDATE, DELETE, TRUNCATE ON exchange_account, exchange_journal, exchange_entry,
      exchange_fill, exchange_seal, exchange_sealedbalance FROM moonx_app;
    REVOKE DELETE, TRUNCATE ON exchange_order FROM moonx_app;
    GRANT UPDATE (held) ON exchange_account TO moonx_app;
  END IF;
END $$;
"""

# Orders and accounts change often in columns that no index has: room for it spares the indexes.
STORAGE = """
ALTER TABLE exchange_order SET (fillfactor = 80);
ALTER TABLE exchange_account SET (fillfactor = 50);
ALTER TABLE exchange_bookversion SET (fillfactor = 20);
"""

TIERS = """
INSERT INTO exchange_feetier (name, maker_fee_bps, taker_fee_bps, is_default)
VALUES ('standard', 5, 10, true);
"""


class Migration(migrations.Migration):
    dependencies = [("exchange", "0004_trading")]
    operations = [
        migrations.RunSQL(POSTING, UNPOSTING),
        migrations.RunSQL(OPENING, UNOPENING),
        migrations.RunSQL(APPEND_ONLY, UNKEPT),
        migrations.RunSQL(XIDS, UNXIDS),
        migrations.RunSQL(GRANTS, migrations.RunSQL.noop),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(TIERS, migrations.RunSQL.noop),
    ]

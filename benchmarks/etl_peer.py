"""ethereum-etl as a child with its own packages: reads ranges from its input, says what it found.

Run by the interpreter of `benchmarks.etl`'s environment; it imports nothing of MoonX. Its job is
the one behind `ethereumetl export_blocks_and_transactions`, kept in memory instead of files.
"""

import json
import logging
import sys
import time
from hashlib import blake2b

from blockchainetl.jobs.exporters.in_memory_item_exporter import InMemoryItemExporter
from ethereumetl.jobs.export_blocks_job import ExportBlocksJob
from ethereumetl.providers.auto import get_provider_from_uri
from ethereumetl.thread_local_proxy import ThreadLocalProxy

BATCH, WORKERS = 100, 5  # its own defaults


def scan(url: str, first: int, last: int) -> dict[str, object]:
    """Unique senders and participants of the blocks."""
    exporter = InMemoryItemExporter(item_types=["block", "transaction"])
    ExportBlocksJob(
        start_block=first,
        end_block=last,
        batch_size=BATCH,
        batch_web3_provider=ThreadLocalProxy(lambda: get_provider_from_uri(url, batch=True)),
        max_workers=WORKERS,
        item_exporter=exporter,
        export_blocks=True,
        export_transactions=True,
    ).run()
    transactions = exporter.get_items("transaction")
    senders = {each["from_address"] for each in transactions}
    people = senders | {each["to_address"] for each in transactions if each["to_address"]}
    digest = blake2b("".join(sorted(people)).encode(), digest_size=16).hexdigest()
    return {
        "transactions": len(transactions),
        "senders": len(senders),
        "participants": len(people),
        "digest": digest,
    }


def main() -> None:
    """One line of JSON for each `url first last` that is read."""
    logging.disable(logging.INFO)
    print("ready", flush=True)
    for line in sys.stdin:
        url, first, last = line.split()
        begun_s = time.process_time()
        found = scan(url, int(first), int(last))
        print(json.dumps({**found, "cpu_s": time.process_time() - begun_s}), flush=True)


if __name__ == "__main__":
    main()

"""Who is alive: the processes whose heartbeats arrive, and alerts for those that fell silent."""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from moonx.core import logs, outbox
from moonx.core.events import SystemAlert
from moonx.core.heartbeat import BEAT_S, MISSES
from moonx.core.models import Heartbeat

SILENT_AFTER = timedelta(seconds=BEAT_S * MISSES)
# A process that was killed and never came back is forgotten after this.
GONE_AFTER = timedelta(days=1)

log = logs.get("moonx.presence")

NEWLY_SILENT = """
UPDATE core_heartbeat SET stats = stats || '{"alerted": true}'
WHERE beat_at < clock_timestamp() - %s * interval '1 second' AND NOT stats ? 'alerted'
RETURNING instance, role, host, beat_at
"""


def living(*, host: str = "") -> list[Heartbeat]:
    """The processes that beat within the last three beats, on one host or on all."""
    rows = Heartbeat.objects.filter(beat_at__gte=Now() - SILENT_AFTER).order_by("role")
    return list(rows.filter(host=host) if host else rows)


def silent() -> list[Heartbeat]:
    """The processes that missed three beats and have not ended in order."""
    return list(Heartbeat.objects.filter(beat_at__lt=Now() - SILENT_AFTER).order_by("role"))


def raise_alerts() -> int:
    """Emits one `system.alert` per process that fell silent since the last check; their number.

    The caller is single: that is the lock under which these events are ordered.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(NEWLY_SILENT, [SILENT_AFTER.total_seconds()])
            found = cursor.fetchall()
        outbox.emit_all(_alert(role, host, beat_at) for _, role, host, beat_at in found)
    for instance, _, _, beat_at in found:
        log.error("process fell silent", instance=instance, last_beat=beat_at.isoformat())
    return len(found)


def _alert(role: str, host: str, beat_at: datetime) -> SystemAlert:
    return SystemAlert(
        subject=f"heartbeat:{role}@{host}",
        message=f"{role} on {host} has not reported since {beat_at:%Y-%m-%d %H:%M:%S} UTC: "
        "see its log, and restart it if nothing else did.",
    )


def forget_gone() -> int:
    """Deletes the rows of processes silent for a day; how many there were."""
    deleted, _ = Heartbeat.objects.filter(beat_at__lt=Now() - GONE_AFTER).delete()
    return deleted

"""What was told of each subject of statistics, and what is known of it now."""

from typing import ClassVar

from django.db import models


class Published(models.Model):
    """One subject: `chain:base`, `bridge:lifi:base:bsc:100`, `overview`.

    Its lock is the lock of the event key that speaks of the subject. `payload` is the newest
    sample in the event's form, which the API and snapshots serve; `told` is what subscribers were
    last told, which changes are measured from. Both are told by one `seq`.
    """

    subject = models.TextField(primary_key=True)
    seq = models.BigIntegerField(default=0, help_text="How often something was told of it.")
    digest = models.BinaryField(default=b"", help_text="Of what was last told, without its times.")
    told = models.JSONField(default=dict)
    payload = models.JSONField(default=dict)
    published_at = models.DateTimeField(null=True, blank=True)
    as_of = models.DateTimeField(null=True, blank=True, help_text="When the newest sample was.")

    class Meta:
        ordering: ClassVar[list[str]] = ["subject"]
        verbose_name_plural = "published"

    def __str__(self) -> str:
        return self.subject

"""Sign-ins and the refresh tokens that keep them alive."""

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models


class SignIn(models.Model):
    """One sign-in with a password: the family of all refresh tokens that follow from it."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]
        verbose_name = "sign-in"

    def __str__(self) -> str:
        return str(self.id)


class RefreshToken(models.Model):
    """A refresh token, known by its digest only; each is used once."""

    sign_in = models.ForeignKey(SignIn, models.CASCADE, related_name="tokens")
    digest = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"of {self.sign_in_id}"

"""Users, groups and sign-ins."""

from typing import Any

from axes import admin as _axes_admin  # registers its own pages first, which are replaced here
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.exchange.admin.traders import FreezeButtons, TraderInline
from moonx.core.staff import ReadOnlyAdmin

assert _axes_admin  # noqa: S101 - imported for its registrations

for _model in (User, Group, AccessAttempt, AccessFailureLog, AccessLog):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(User)
class UserAdmin(BaseUserAdmin, FreezeButtons):  # type: ignore[type-arg]
    """People who may sign in, and how they trade."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "last_login")
    inlines = (TraderInline,)

    def get_inlines(self, _request: HttpRequest, obj: User | None) -> Any:
        """Trading comes once there is a user."""
        return self.inlines if obj else ()


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):
    """Permissions that people share."""


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    """Wrong passwords that count towards a lock; deleting a row lifts it."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    search_fields = ("username", "ip_address")
    ordering = ("-attempt_time",)
    # What was typed stays out of sight: people type passwords into the wrong field.
    fields = ("attempt_time", "username", "ip_address", "user_agent", "failures_since_start")
    actions = ("delete_selected",)

    def has_delete_permission(self, request: HttpRequest, *_args: Any, **_options: Any) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """Who signed in, from where."""

    list_display = ("attempt_time", "username", "ip_address", "logout_time")
    search_fields = ("username", "ip_address")
    ordering = ("-attempt_time",)
    fields = ("attempt_time", "logout_time", "username", "ip_address", "user_agent")


@admin.register(AccessFailureLog)
class AccessFailureLogAdmin(ReadOnlyAdmin):
    """Every failed sign-in."""

    list_display = ("attempt_time", "username", "ip_address", "locked_out")
    list_filter = ("locked_out",)
    search_fields = ("username", "ip_address")
    ordering = ("-attempt_time",)
    fields = ("attempt_time", "username", "ip_address", "user_agent", "locked_out")

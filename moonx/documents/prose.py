"""Sentences of the documents as HTML: `code` between backticks, all else escaped."""

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def prose(text: str) -> SafeString:
    """The escaped text, its backticked parts in <code>."""
    parts = text.split("`")
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<code>{}</code>", part) if at % 2 else part,)
            for at, part in enumerate(parts)
        ),
    )

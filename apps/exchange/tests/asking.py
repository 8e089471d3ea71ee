"""Public questions to `/api/v3`, and what is wrong with some."""

import json
from typing import Any

from django.test import Client


def get(path: str, **query: Any) -> Any:
    """The JSON of the answer, which must be 200."""
    answer = Client().get(f"/api/v3{path}", query)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def refused(path: str, status: int = 400, **query: Any) -> tuple[int, str]:
    """The code and the sentence of the answer, which must have that status."""
    answer = Client().get(f"/api/v3{path}", query)
    assert answer.status_code == status, answer.content
    body = json.loads(answer.content)
    assert list(body) == ["code", "msg"]
    return body["code"], body["msg"]

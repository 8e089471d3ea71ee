"""Schemas as a person reads them, and the pages made of them."""

from typing import Any

import pytest
from django.test import Client

from moonx.documents.merged import openapi
from moonx.documents.outline import outline, type_of
from moonx.documents.prose import prose

DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Amount": {"type": "string", "description": "Decimal"},
            "Tree": {
                "type": "object",
                "properties": {"child": {"$ref": "#/components/schemas/Tree"}},
            },
        }
    }
}


def test_an_object_is_sketched_with_its_optional_fields_marked() -> None:
    schema = {
        "type": "object",
        "required": ["price"],
        "properties": {
            "price": {"$ref": "#/components/schemas/Amount"},
            "ids": {"type": "array", "items": {"type": "integer"}},
        },
    }
    assert outline(schema, DOCUMENT).splitlines() == [
        "{",
        "  price: string  — Decimal",
        "  ids?: [",
        "    integer",
        "  ]",
        "}",
    ]


def test_a_schema_that_names_itself_ends() -> None:
    assert "…" in outline({"$ref": "#/components/schemas/Tree"}, DOCUMENT)


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"const": "x"}, '"x"'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({}, "any"),
    ],
)
def test_a_type_is_a_word_or_two(schema: dict[str, Any], word: str) -> None:
    assert type_of(schema, DOCUMENT) == word


def test_prose_escapes_all_but_its_code() -> None:
    assert prose("<b> `a<b`.") == "&lt;b&gt; <code>a&lt;b</code>."


def test_one_document_covers_both_interfaces() -> None:
    paths = openapi()["paths"]
    assert {"/api/v3/klines", "/api/v1/auth/token", "/health"} <= set(paths)


def responses_of(path: str) -> Any:
    return openapi()["paths"][path]["get"]["responses"]


def test_the_chart_feed_is_documented_as_it_answers() -> None:
    for path in ("config", "time", "symbols", "search", "history"):
        told = responses_of(f"/udf/{path}")
        assert {200, 429} <= set(told) <= {200, 304, 429}
        refused = told[429]["content"]["application/json"]["schema"]
        assert list(refused["properties"]) == ["s", "errmsg"]
        assert refused in told[200]["content"]["application/json"]["schema"].get("oneOf", [refused])
    time = responses_of("/udf/time")[200]["content"]
    assert time["text/plain"]["schema"] == {"type": "integer"}
    assert {str(status) for status in responses_of("/api/v3/klines")} == {
        "200",
        "304",
        "400",
        "429",
    }
    assert 304 not in responses_of("/udf/time")
    text = Client().get("/docs/http").content.decode()
    assert "integer\nor\n{" in text.partition("<code>/udf/time</code>")[2]


def test_every_operation_stands_on_the_page() -> None:
    text = Client().get("/docs/http").content.decode()
    for path in openapi()["paths"]:
        assert f"<code>{path}</code>" in text


def test_a_page_without_exceptions_to_its_policy() -> None:
    for path in ("/", "/docs", "/docs/http", "/docs/ws"):
        answer = Client().get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        body = answer.content.decode()
        assert " style=" not in body
        assert "<script>" not in body
        assert "//cdn" not in body


def test_json_is_answered_to_whom_asks_for_it() -> None:
    info = Client().get("/", headers={"Accept": "application/json"})
    assert info.json()["name"] == "MoonX"
    assert info.json() == Client().get("/api/v1/info").json()
    assert Client().get("/", headers={"Accept": "*/*"})["Content-Type"].startswith("text/html")


def test_what_is_missing_is_said_in_the_callers_form() -> None:
    page = Client().get("/nothing-here")
    assert page.status_code == 404
    assert b"There is nothing at this address" in page.content
    answer = Client().get("/api/v1/nothing")
    assert answer.status_code == 404
    assert set(answer.json()) == {"code", "message"}

"""JSON schemas as indented outlines that a person reads at a glance."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
INDENT = "  "


def outline(schema: Schema, document: Schema) -> str:
    """The schema as a sketch of the JSON it describes; `document` resolves its references."""
    return "\n".join(_lines(schema, document, depth=0))


def type_of(schema: Schema, document: Schema) -> str:
    """What a value is, in a word or two: `string`, `integer or null`, `A | B`."""
    schema = resolve(schema, document)
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(type_of(part, document) for part in schema[key])
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}), document)}"
    kinds = schema.get("type", "any")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def resolve(schema: Schema, document: Schema) -> Schema:
    """The schema that a reference within the document names; any other as it is."""
    seen = set()
    while "$ref" in schema and schema["$ref"] not in seen:
        seen.add(schema["$ref"])
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        schema = target
    return schema


def _lines(schema: Schema, document: Schema, *, depth: int) -> list[str]:
    schema = resolve(schema, document)
    pad = INDENT * depth
    if depth > 6:  # a schema that names itself
        return [pad + "…"]
    if "prefixItems" in schema:
        return [pad + f"[ {_tuple(schema, document)} ]"]
    if "items" in schema:
        return [pad + "[", *_lines(schema["items"], document, depth=depth + 1), pad + "]"]
    variants = schema.get("oneOf") or schema.get("anyOf")
    if variants and any("properties" in resolve(one, document) for one in variants):
        return _either(variants, document, depth=depth)
    if not schema.get("properties"):
        return [pad + _described(schema, document)]
    return [pad + "{", *_properties(schema, document, depth=depth + 1), pad + "}"]


def _either(variants: list[Schema], document: Schema, *, depth: int) -> list[str]:
    lines: list[str] = []
    for one in variants:
        if lines:
            lines.append(INDENT * depth + "or")
        lines += _lines(one, document, depth=depth)
    return lines


def _properties(schema: Schema, document: Schema, *, depth: int) -> list[str]:
    required = set(schema.get("required", schema["properties"]))
    lines: list[str] = []
    for name, value in schema["properties"].items():
        mark = "" if name in required else "?"
        head, *rest = _lines(value, document, depth=depth)
        lines += [f"{INDENT * depth}{name}{mark}: {head.lstrip()}", *rest]
    return lines


def _tuple(schema: Schema, document: Schema) -> str:
    return ", ".join(type_of(item, document) for item in schema["prefixItems"])


def _described(schema: Schema, document: Schema) -> str:
    if "properties" in schema:
        return "{}"
    note = schema.get("description", "")
    return type_of(schema, document) + (f"  — {note}" if note else "")

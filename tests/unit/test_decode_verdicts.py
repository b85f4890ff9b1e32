"""Our validation gives the verdicts of the stock one."""

from typing import Any

import jsonschema
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.validators import InvalidError, Validator

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 1.5, "", "a", "ab", "a\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    by_name = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=repr),
            "properties": by_name,
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b", "b$"]), inner, max_size=2),
            "additionalProperties": st.booleans() | inner,
            "required": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
            "items": inner | several,
            "additionalItems": inner,
            "oneOf": several,
            "anyOf": several,
            "allOf": several,
            "not": inner,
            "pattern": st.sampled_from(["^a$", "b", "^$"]),
            "format": st.sampled_from(["date-time", "uri", "email"]),
            "default": VALUES,
            "minLength": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "minimum": st.integers(-1, 1),
            "uniqueItems": st.booleans(),
            "unheard-of": VALUES,
        },
    )


DRAFTS = st.sampled_from(
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ]
)
SCHEMAS = st.recursive(st.fixed_dictionaries({"type": TYPES}), nested, max_leaves=6)


def stock_accepts(schema: Any, instance: Any) -> bool:
    try:
        jsonschema.validate(instance, schema)
    except (jsonschema.ValidationError, jsonschema.SchemaError):
        return False
    return True


def ours_accepts(schema: Any, instance: Any) -> bool:
    try:
        Validator(schema).check(instance)
    except InvalidError:
        return False
    return True


@given(SCHEMAS, DRAFTS, VALUES)
@example({"pattern": "^a$"}, "http://json-schema.org/draft-04/schema#", "a\n")
@example({"enum": [1]}, "http://json-schema.org/draft-04/schema#", True)
@example({"enum": [[1]]}, "http://json-schema.org/draft-04/schema#", [True])
@example({"not": {"pattern": "^a$"}}, "http://json-schema.org/draft-04/schema#", "a\n")
@example({"dependentRequired": {"a": ["b"]}}, "https://json-schema.org/draft/2019-09/schema", {"a": 1})
@example({"type": "integer"}, "http://json-schema.org/draft-07/schema#", 1.0)
@example({"patternProperties": {"a$": {"type": "null"}}}, "http://json-schema.org/draft-04/schema#", {"a\n": 1})
def test_same_verdict_for_any_schema(schema: Any, draft: str, instance: Any) -> None:
    schema = {"$schema": draft, **schema}
    assert ours_accepts(schema, instance) == stock_accepts(schema, instance)

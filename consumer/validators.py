"""One compiled validator for each JSON schema, with the verdicts of `jsonschema.validate`."""

from collections.abc import Callable, Iterator
from typing import Any

import fastjsonschema
from jsonschema import exceptions
from jsonschema.validators import validator_for
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

#: Drafts of which fastjsonschema knows every keyword that is not in _DIFFERS.
_FAST_DRAFTS = ("draft-04", "draft-06", "draft-07", "draft/2019-09")

#: Keywords that fastjsonschema ignores, or reads differently in some corner (True == 1).
_DIFFERS = {
    *("$anchor", "$dynamicRef", "$recursiveRef", "additionalItems", "const", "dependencies"),
    *("dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains"),
    *("multipleOf", "not", "prefixItems", "propertyNames", "then", "unevaluatedItems"),
    *("unevaluatedProperties", "uniqueItems"),
}


class InvalidError(Exception):
    """The instance does not match the schema: one line that says where and why."""


class _NoRemoteReferences(dict[str, Callable[[str], Any]]):
    """Every URI scheme is "handled" by a refusal: a schema must never start a network fetch."""

    def __contains__(self, scheme: object) -> bool:
        return True

    def __missing__(self, scheme: str) -> Callable[[str], Any]:
        return self._refuse

    @staticmethod
    def _refuse(uri: str) -> Any:
        raise LookupError(f"{uri} is not in the schema itself")


class Validator:
    """What fastjsonschema accepts is valid; what it rejects, or cannot compile, jsonschema decides.

    So rejections cost what they always did, and carry jsonschema's message.
    """

    def __init__(self, schema: Any) -> None:
        """Raises InvalidError if the schema itself is invalid: then nothing matches it."""
        self.schema = schema
        validator_class = validator_for(schema)
        try:
            validator_class.check_schema(schema)
        except exceptions.SchemaError as error:
            raise InvalidError(f"the schema itself is invalid: {error.message}") from error
        self._exact = validator_class(schema, registry=REGISTRY)
        self._fast = _compile(schema)

    def check(self, instance: Any) -> None:
        """Raises InvalidError if the instance does not match."""
        if self._fast is not None:
            try:
                self._fast(instance)
            except fastjsonschema.JsonSchemaException:
                pass
            else:
                return
        error = exceptions.best_match(self._exact.iter_errors(instance))
        if error is not None:
            raise InvalidError(f"{error.json_path}: {error.message}")


def _compile(schema: Any) -> Callable[[Any], Any] | None:
    """fastjsonschema's function, or None where it cannot be had or its verdict could differ."""
    if not isinstance(schema, dict) or not any(d in str(schema.get("$schema")) for d in _FAST_DRAFTS):
        return None
    if any(_differs(part) for part in _parts(schema)):
        return None
    try:
        compiled: Callable[[Any], Any] = fastjsonschema.compile(
            schema,
            handlers=_NoRemoteReferences(),
            use_default=False,  # defaults would be written into the message
            use_formats=False,  # jsonschema.validate checks none
            detailed_exceptions=False,
        )
    except Exception:  # noqa: BLE001 - it fails in many ways on what it does not know; jsonschema takes over
        return None
    return compiled


def _differs(part: dict[str, Any]) -> bool:
    """Whether the two could disagree on this part of a schema."""
    if _DIFFERS.intersection(part) or isinstance(part.get("items"), list):
        return True
    # To jsonschema `$` also matches before a final newline.
    patterns = [part.get("pattern"), *(part.get("patternProperties") or ())]
    return any("$" in str(pattern) for pattern in patterns)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object within the schema."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _parts(value)

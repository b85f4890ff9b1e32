"""Messages of the services' own test suites: who acted, and what is valid.

The data is not part of this repository; without it these tests are skipped, except in CI.
"""

import copy
import json
import os
import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from consumer.decode import Delivery, Poison, decode, decode_record
from consumer.schemas import Schemas
from state.weeks import SECOND

DATA = Path(__file__).parents[3] / "shared" / "data"
NOW = 1_800_000_000 * SECOND
SENT_AT = "2024-06-03T10:00:00+00:00"


def rows(name: str) -> list[dict[str, Any]]:
    path = DATA / name
    if not path.exists() or find_spec("noggin_messages") is None:
        message = f"{path} or the extra `schemas` is absent"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return [json.loads(line) for line in path.read_text().splitlines()]


def delivery(row: dict[str, Any]) -> Delivery:
    body = json.dumps(row["body"]).encode()
    return Delivery(row["topic"] or "a.b.prod.c", {**row["headers"], "sent-at": SENT_AT}, body, "id", "utf-8")


def test_who_acted_is_right_for_every_valid_message() -> None:
    named = 0
    for row in rows("schema_messages.jsonl"):
        if not row["schema_valid"]:
            continue
        events = decode(delivery(row), NOW).events
        usernames = {name for name in row["usernames"] or () if name and name != "None"}
        agent = row["agent_name"]
        expected = {agent} if agent and agent != "None" else usernames
        if row["topic"].endswith("fas.user.create"):
            expected = {row["body"]["msg"]["user"]}
        acted = {event.user for event in events if event.role == "actor"} - {None}
        assert acted == expected, row["upstream_test"]
        assert {event.user for event in events} - {None} == usernames | expected | ({agent} - {None, "None"})
        named += bool(expected)
    assert named >= 145


def test_invalid_messages_are_poison() -> None:
    for row in rows("schema_messages.jsonl"):
        if not row["schema_valid"]:
            with pytest.raises(Poison) as caught:
                decode(delivery(row), NOW)
            assert caught.value.reason == "schema"


def accepts(validate: Any) -> bool:
    try:
        validate()
    except Exception:  # noqa: BLE001 - some classes raise more than ValidationError
        return False
    return True


def test_verdicts_are_those_of_the_library() -> None:
    schemas, seen = Schemas(), {True: 0, False: 0}
    for row in rows("schema_messages.jsonl"):
        for headers, body in variants(row):
            try:
                message = schemas.build(row["topic"] or "t", headers, body, "id")
            except Exception:  # noqa: BLE001, S112
                # Some classes raise on construction: with the library the consumer would halt.
                continue
            stock = accepts(message.validate)
            assert accepts(lambda m=message: schemas.validate(m)) == stock, (row["upstream_test"], body)
            seen[stock] += 1
    assert min(seen.values()) > 200


def variants(row: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """The message, and some that differ from it in one place."""
    dice = random.Random(json.dumps(row, sort_keys=True))
    yield row["headers"], row["body"]
    yield {**row["headers"], "fedora_messaging_severity": dice.choice([True, 20.0, "20", 21])}, row["body"]
    for _ in range(3):
        body = copy.deepcopy(row["body"])
        part, key = dice.choice(list(places(body)) or [(body, "x")])
        part[key] = dice.choice([None, True, 1, 1.0, "x", [], [None], {}, {"x": 1}])
        yield row["headers"], body
    if row["body"]:
        yield row["headers"], {k: v for k, v in row["body"].items() if k != dice.choice(list(row["body"]))}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def test_headers_and_body_survive_a_missing_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any schema package the actor is still found, almost always."""
    right = total = 0
    for row in rows("schema_messages.jsonl"):
        agent = row["agent_name"]
        if not row["schema_valid"] or not agent or row["topic"].endswith("fas.user.create"):
            continue
        events = decode(delivery(row), NOW, Schemas([])).events
        right += {event.user for event in events if event.role == "actor"} == {agent}
        total += 1
    with capsys.disabled():
        print(f"\nwithout schema packages: the actor is right in {right} of {total}")  # noqa: T201 - a figure to watch
    assert right / total >= 0.9


def test_messages_older_than_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    found = exact = total = 0
    for row in rows("legacy_messages.jsonl"):
        if row["needs_account_mapping"]:
            continue
        record = {key: row[key] for key in ("msg_id", "topic", "headers", "msg")}
        record["timestamp"] = row["timestamp"] or 1_344_350_850
        users = {event.user for event in decode_record(record, NOW).events} - {None}
        expected = set(row["expected_usernames"] or row["reference_usernames"] or ())
        found += expected <= users
        exact += expected == users
        total += 1
    with capsys.disabled():
        print(f"\nlegacy messages: all users found in {found}, exactly in {exact} of {total}")  # noqa: T201 - the same
    # The one left names the account of the ssh server.
    assert found >= total - 1
    assert exact >= total - 1


def test_every_installed_class_can_be_validated() -> None:
    """Compiling a schema must neither raise nor reach for the network."""
    schemas = Schemas()
    for name in schemas._entry_points():
        assert schemas._load(name, None) is not None, name
        accepts(lambda n=name: schemas.validate(schemas.build("t", {"fedora_messaging_schema": n}, {}, "id")))

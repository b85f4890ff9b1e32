"""The bytes of an answer say what its object says; of aggregates they are kept, of what names people they are not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from metrics.asking.request import read_request
from metrics.asking.shape import body, response
from metrics.asking.work import Worked, work_out
from state.cohorts.definitions import NO_DEFINITIONS
from state.rules import Rules
from tests.support.logs import START
from tests.support.standard import event, make_state

CREATE = "org.fedoraproject.prod.fas.user.create"
POST = "org.fedoraproject.prod.discourse.post.post_created"


def worked(directory: Path, metric: str, **given: str) -> Worked:
    log = [event(1, START, CREATE, "dörte"), event(2, START + 1, POST, "dörte", object="t/1")]
    make_state(directory, log, Rules())
    request, _ = read_request("all", metric, given.items())
    return work_out(directory, NO_DEFINITIONS, request, START, compare=False)


@pytest.mark.parametrize("given", [{"aggregator": "cohorts"}, {"aggregator": "pooled"}, {}], ids=str)
def test_the_bytes_are_the_answer(tmp_path: Path, given: dict[str, str]) -> None:
    found = worked(tmp_path, "retention", **given)
    for moment, withheld in ((START, 0), (START + 1, 0), (START + 1, 2), (START, 2)):
        told = json.loads(body(found, moment, withheld))
        assert told == response(found, moment, withheld)
        assert list(told) == list(response(found, moment, withheld))
    assert bool(found.texts) == bool(given)


def test_an_answer_with_fewer_rows_does_not_have_the_text_of_all(tmp_path: Path) -> None:
    found = worked(tmp_path, "retention", aggregator="cohorts")
    body(found, START)
    fewer = replace(found, answer=replace(found.answer, rows=(), sizes=()))
    assert json.loads(body(fewer, START))["data"] == []

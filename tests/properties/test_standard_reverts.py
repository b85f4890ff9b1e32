"""Reverts agree with loops over revisions, many of them at the same time, of which only a few users are asked."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.standard import inputs
from metrics.standard.options import parse
from state.event import Event
from state.rules import Rules
from state.weeks import DAY, HOUR
from tests.support.logs import START, scratch
from tests.support.naive import Naive
from tests.support.standard import Member, ask_options, event, make_state

CREATE = "org.fedoraproject.prod.fas.user.create"
USERS = ("ada", "bob", "cy's")

_edit = st.tuples(
    st.integers(0, 6),  # so few times that most revisions share theirs
    st.sampled_from(USERS),
    st.sampled_from(("page", "page", "page", "other")),
    st.sampled_from((None, "p")),
    st.sampled_from(("h1", "h2", "h3", "h4")),
)


def _log(rows: list[tuple[int, str, str, str | None, str]], order: list[int]) -> list[Event]:
    """Revisions whose ids are in another order than they came in, after the registrations."""
    signed_up = [event(number, START, CREATE, user) for number, user in enumerate(USERS)]
    return signed_up + [
        event(
            100 + place, START + hours * HOUR, "wiki.article.edit", user,
            object=thing, project=project, content_hash=content,
        )
        for place, (hours, user, thing, project, content) in zip(order, rows, strict=True)
    ]  # fmt: skip


LOGS = st.lists(_edit, min_size=8, max_size=40).flatmap(
    lambda rows: st.permutations(range(len(rows))).map(lambda order: _log(rows, order))
)


@pytest.mark.parametrize("most", [0.0, 2.0], ids=["of-many", "of-few"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    log=LOGS,
    members=st.sets(st.sampled_from(USERS), min_size=1),
    group=st.sampled_from(("registration", "activity")),
    limits=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_reverts_agree_with_loops(
    monkeypatch: pytest.MonkeyPatch,
    most: float,
    log: list[Event],
    members: set[str],
    group: str,
    limits: tuple[int, int],
) -> None:
    monkeypatch.setattr(inputs, "_MOST", most)
    ahead, back = map(str, limits)
    options = parse("revert_rate", {"group": group, "t": "4", "look_ahead": ahead, "look_back": back})
    asked = [Member(user) for user in sorted(members)]
    as_of = START + DAY
    with scratch() as directory:
        make_state(directory, log, Rules())
        found = ask_options(directory, asked, options, Rules(), as_of)
    naive = Naive(log, asked, Rules(), options, as_of)
    expected = [(user, value) for user in sorted(members) if (value := naive.revert_rate(user)) is not None]
    assert [(row[0], row[1:-1], row[-1]) for row in found.rows] == [(user, *value) for user, value in expected]

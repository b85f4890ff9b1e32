"""Discussions: what opens, answers, solves and closes on each service; recomputed with pandas."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from metrics.programmes.discussions import DiscussionRow, Discussions, discussions
from metrics.programmes.threads import DISCUSSIONS, OPENING_POST, SERVICES
from state.errors import HomecomingError
from state.expiry import expire
from state.log import with_log
from state.rules import Rules
from state.segments import seal
from state.store import open_store
from state.weeks import event_time_of
from tests.support.programmes import (
    COMMENT,
    EDIT,
    ISSUE,
    MAIL,
    POST,
    SOLVED,
    TOPIC,
    UPDATE,
    Community,
    Said,
    ask,
    community,
    state_of,
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


def row_of(found: Discussions, service: str, month: str | None = None) -> DiscussionRow:
    return next(row for row in found.rows if (row.service, row.month) == (service, month))


def told(tmp_path: Path, said: Said, service: str) -> DiscussionRow:
    return row_of(ask(state_of(tmp_path, said.events), discussions), service)


def test_a_topic_with_its_opening_post_is_not_answered(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03T10:00:00", TOPIC, "ada", "t/1")
    said("2024-06-03T10:00:01", POST, "ada", "t/1")
    said("2024-06-03T11:00:00", POST, "ada", "t/1")
    row = told(tmp_path, said, "discourse")
    assert (row.topics, row.replies, row.participants, row.answered) == (1, 1, 1, 0)
    assert (row.mean_replies, row.share_answered, row.first_answer_median_s) == (1, 0, None)


def test_the_first_reply_by_another_answers(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03T10:00:00", TOPIC, "ada", "t/1")
    said("2024-06-03T10:30:00", POST, "ada", "t/1")
    said("2024-06-03T11:00:00", POST, "bob", "t/1")
    said("2024-06-03T12:00:00", POST, "cyd", "t/1")
    said("2024-06-03T12:00:00", TOPIC, "cyd", "t/2")
    row = told(tmp_path, said, "discourse")
    assert (row.topics, row.replies, row.participants, row.answered, row.replied) == (2, 3, 3, 1, 1)
    assert row.first_answer_median_s == row.first_answer_mean_s == 3_600
    assert row.share_answered == 0.5


def test_a_solution_answers_whoever_it_was_by(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03T10:00:00", TOPIC, "ada", "t/1")
    said("2024-06-03T11:00:00", SOLVED, "ada", "t/1")
    row = told(tmp_path, said, "discourse")
    assert (row.answered, row.solved, row.replied, row.closed) == (1, 1, 0, 0)


def test_only_an_edit_that_closes_an_issue_closes_it(tmp_path: Path) -> None:
    said = Said()
    for number in (1, 2):
        said("2024-06-03", ISSUE, "ada", f"issue/{number}")
    said("2024-06-04", EDIT, "ada", "issue/1#closed")
    said("2024-06-04", EDIT, "ada", "issue/2")
    row = told(tmp_path, said, "pagure")
    assert (row.topics, row.answered, row.closed) == (2, 1, 1)


def test_mails_are_told_apart_by_what_they_answer(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03T10:00:00", MAIL, "ada", "list/thread/A/")
    said("2024-06-03T10:10:00", MAIL, "bob", "list/thread/A/#B")
    said("2024-06-03T10:20:00", MAIL, None, "list/thread/A/#C")
    said("2024-06-03T10:30:00", MAIL, "bob", "list/thread/UNKNOWN/#D")
    row = told(tmp_path, said, "mailman")
    assert (row.topics, row.replies, row.participants, row.first_answer_median_s) == (1, 2, 2, 600)


def test_an_update_is_opened_once(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03", UPDATE, "ada", "FEDORA-1")
    said("2024-06-05", UPDATE, "ada", "FEDORA-1")
    assert told(tmp_path, said, "bodhi").topics == 1


def test_programs_neither_open_nor_answer(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03", ISSUE, "ada", "issue/1")
    said("2024-06-03T01:00:00", COMMENT, "robot", "issue/1")
    said("2024-06-03T02:00:00", COMMENT, "script", "issue/1", is_bot=True)
    said("2024-06-03T03:00:00", ISSUE, "robot", "issue/2")
    state = state_of(tmp_path, said.events)
    rules = replace(Rules(), allowlist=frozenset({"robot"}))
    row = row_of(with_log(state, lambda duck, conn: discussions(duck, conn, rules)), "pagure")
    assert (row.topics, row.replies, row.answered) == (1, 0, 0)


def test_who_is_named_beside_does_not_take_part(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-03", ISSUE, "ada", "issue/1")
    said("2024-06-04", COMMENT, "ada", "issue/1")
    beside = said.events[-1]._replace(user="bob", role="affected")
    said.events.append(beside)
    row = told(tmp_path, said, "pagure")
    assert (row.replies, row.participants, row.answered) == (1, 1, 0)


def test_threads_belong_to_the_time_in_which_they_were_opened(tmp_path: Path) -> None:
    said = Said()
    said("2024-05-31T23:59:59", ISSUE, "ada", "issue/1")
    said("2024-06-01", ISSUE, "ada", "issue/2")
    said("2024-07-15", COMMENT, "bob", "issue/2")
    state = state_of(tmp_path, said.events)
    june = {"start": event_time_of("2024-06-01"), "end": event_time_of("2024-07-01")}
    row = row_of(ask(state, discussions, **june), "pagure")
    assert (row.topics, row.replies, row.answered, row.state) == (1, 1, 1, "final")
    by_month = ask(state, discussions, by="month")
    assert [(one.month, one.topics, one.state) for one in by_month.rows] == [
        ("2024-05", 1, "final"), ("2024-06", 1, "final")
    ]  # fmt: skip


def test_services_without_a_topic_have_no_shares(tmp_path: Path) -> None:
    said = Said()
    said("2024-06-01", ISSUE, "ada", "issue/2")
    found = ask(state_of(tmp_path, said.events), discussions)
    assert [row.service for row in found.rows] == list(SERVICES)
    row = row_of(found, "mailman")
    assert (row.topics, row.mean_replies, row.share_answered) == (0, None, None)
    with pytest.raises(HomecomingError, match="no discussions on 'irc': one of discourse, mailman, pagure, bodhi"):
        ask(tmp_path, discussions, services=["irc"])


def test_expired_threads_are_left_out_or_refused(tmp_path: Path) -> None:
    said = Said()
    said("2023-06-01", ISSUE, "ada", "issue/1")
    said("2024-06-01", ISSUE, "ada", "issue/2")
    state = state_of(tmp_path, said.events)
    store = open_store(state)
    seal(store)
    expire(store, 135)
    store.close()
    found = ask(state, discussions)
    assert found.exact
    assert found.start is not None
    assert row_of(found, "pagure").topics == 1
    since = event_time_of("2023-01-01")
    with pytest.raises(HomecomingError, match="have expired"):
        ask(state, discussions, start=since)
    assert not ask(state, discussions, start=since, exact=False).exact


def test_pandas_agrees(simulated: Community) -> None:
    found = ask(simulated.directory, discussions)
    log = simulated.log.sort_values(["sent_at", "msg_id"], kind="stable")
    log = log.assign(thread=log["object"].str.partition("#")[0])
    for discussion in DISCUSSIONS:
        mine = log[log["action"].isin({*discussion.opens, *discussion.replies, *discussion.solves, *discussion.closes})]
        is_part = mine["object"].str.contains("#")
        opens, replies = mine["action"].isin(discussion.opens), mine["action"].isin(discussion.replies)
        if discussion.opens_whole:
            opens, replies = opens & ~is_part, replies & is_part
        opened = mine[opens].groupby("thread").first()[["sent_at", "username"]]
        later = mine.join(opened.add_prefix("opened_"), on="thread")
        later = later[later["sent_at"] >= later["opened_sent_at"]]
        said = later[replies.reindex(later.index)]
        if discussion.posts_opening:
            soon = said["sent_at"] <= said["opened_sent_at"] + pd.Timedelta(microseconds=OPENING_POST)
            said = said[~(soon & (said["username"] == said["opened_username"]))]
        answers = said[said["username"] != said["opened_username"]].groupby("thread")["sent_at"].min()
        waited = (answers - opened["sent_at"].reindex(answers.index)).dt.total_seconds()
        solved = set(later[later["action"].isin(discussion.solves)]["thread"])
        closing = later["action"].isin(discussion.closes) & later["object"].str.endswith("#closed")
        closed = set(later[closing]["thread"])
        row = row_of(found, discussion.service)
        assert row.topics == len(opened) > 30
        assert row.replies == len(said)
        assert row.participants == len({*opened["username"], *said["username"]})
        assert (row.replied, row.solved, row.closed) == (len(answers), len(solved), len(closed))
        assert row.answered == len(solved | closed | set(answers.index))
        assert row.first_answer_median_s == pytest.approx(waited.median())
        assert row.first_answer_mean_s == pytest.approx(waited.mean())
    assert (row_of(found, "discourse").solved or 0) > 10
    assert (row_of(found, "pagure").closed or 0) > 10

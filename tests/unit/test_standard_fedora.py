"""What stands for what on Fedora's bus, where the older systems had something else; and the answer says so."""

from pathlib import Path

import pytest

from state.errors import HomecomingError
from state.rules import Rules
from state.store import open_store
from state.weeks import DAY, HOUR
from tests.support.logs import START
from tests.support.standard import Member, ask, by_user, event, make_state, statuses

CREATE = "org.fedoraproject.prod.fas.user.create"
POST = "org.fedoraproject.prod.discourse.post.post_created"
DESTROYED = "org.fedoraproject.prod.discourse.post.post_destroyed"
BODHI = "org.fedoraproject.prod.bodhi.update"


def test_what_happens_to_an_account_is_no_contribution(tmp_path: Path) -> None:
    topics = (CREATE, CREATE, "fas.group.member.sponsor", "badges.badge.award", "track.visit", POST)
    make_state(tmp_path, [event(n, START + n, topic, "ada") for n, topic in enumerate(topics)], Rules())
    assert by_user(ask(tmp_path, ["ada"], "edits")) == {"ada": 1}


def test_undoing_actions_stand_for_reverts(tmp_path: Path) -> None:
    log = [
        event(1, START, POST, "ada", object="t/1"),
        event(2, START + 1, POST, "ada", object="t/1", content_hash="a text"),
        event(3, START + 2, POST, "bob", object="t/1", content_hash="another"),
        event(4, START + 3, POST, "cy", object="t/1", content_hash="a text"),  # the same words are no revert
        event(5, START + 4, DESTROYED, "ada", object="t/1"),
        event(6, START, f"{BODHI}.request.testing", "bob", object="FEDORA-1"),
        event(7, START + 1, f"{BODHI}.request.unpush", "bob", object="FEDORA-1"),
        event(8, START, f"{BODHI}.request.testing", "bob", object="FEDORA-2"),
        event(9, START + 1, f"{BODHI}.request.unpush", "rel-eng", object="FEDORA-2"),
    ]
    make_state(tmp_path, log, Rules())
    found = ask(tmp_path, ["ada", "bob", "dan"], "revert_rate", group="activity")
    # Of ada's two posts the later one went; who took back an update of their own reverted nothing.
    assert by_user(found) == {"ada": (1 / 3, 3, 1), "bob": (1 / 4, 4, 1), "dan": (None, 0, 0)}
    assert statuses(found)["dan"] == "undefined"
    assert found.notes == (
        "undone by discourse.post.post_destroyed, which does not say who did it",
        "undone by bodhi.update.request.unpush",
    )


def test_confirmed_flags_stand_for_blocks(tmp_path: Path) -> None:
    make_state(tmp_path, [event(n, START, CREATE, user) for n, user in enumerate(("ada", "bob"))], Rules())
    store = open_store(tmp_path)
    with store.writing() as conn:
        for number, (user, state) in enumerate([("ada", "confirmed"), ("ada", "confirmed"), ("bob", "raised")]):
            at = START + number * DAY
            conn.execute(
                "INSERT INTO flag (id, user, rule, severity, state, raised_at, posts, reason, evidence, config) "
                "VALUES (?, ?, 'burst', 'critical', ?, ?, 5, '', '[]', '')",
                (f"f{number}", user, state, at),
            )
    store.close()
    found = ask(tmp_path, ["ada", "bob"], "blocks")
    assert by_user(found) == {"ada": (1, 2, START, START + DAY, None), "bob": (0, 0, None, None, None)}
    assert "confirmed spam flags stand for them" in found.notes[0]
    assert ask(tmp_path, ["ada", "bob"], "blocks", aggregator="proportion").rows == ((2, 1, 0.5),)
    assert by_user(ask(tmp_path, ["ada"], "blocks", t=24))["ada"][1] == 1


def test_units_do_not_add_up(tmp_path: Path) -> None:
    log = [
        event(1, START, "git.receive", "ada", size=5, unit="lines"),
        event(2, START, "wiki.edit", "ada", size=-7, unit="bytes"),
    ]
    make_state(tmp_path, log, Rules())
    with pytest.raises(HomecomingError, match="bytes and lines do not add up: choose one, unit=bytes"):
        ask(tmp_path, ["ada"], "bytes_added", group="activity")
    with pytest.raises(HomecomingError, match="one of bytes, lines"):
        ask(tmp_path, ["ada"], "bytes_added", group="activity", unit="miles")
    found = ask(tmp_path, ["ada"], "bytes_added", group="activity", unit="lines")
    assert (by_user(found)["ada"], found.unit) == ((5, 5, 5, 0, 1), "lines")


def test_who_is_censored_is_shown_and_not_counted(tmp_path: Path) -> None:
    log = [event(1, START, CREATE, "ada"), event(2, START + 1, POST, "ada"), event(3, START + DAY, CREATE, "bob")]
    make_state(tmp_path, [*log, event(4, START + DAY + HOUR, POST, "bob")], Rules())
    raw = ask(tmp_path, ["ada", "bob", "nobody"], "edits")
    assert by_user(raw) == {"ada": 1, "bob": 1, "nobody": None}
    assert statuses(raw) == {"ada": "final", "bob": "open", "nobody": "undefined"}
    mean = ask(tmp_path, ["ada", "bob", "nobody"], "edits", aggregator="mean")
    assert (mean.rows, mean.sizes, mean.status) == (((1.0,),), (1,), "open")
    # Once reached, a threshold is reached, however much of the window is to come.
    assert statuses(ask(tmp_path, ["bob"], "threshold"))["bob"] == "final"
    assert statuses(ask(tmp_path, ["bob"], "threshold", n=2))["bob"] == "undefined"


def test_a_member_twice_is_counted_once(tmp_path: Path) -> None:
    log = [event(n, START + n, POST, "ada", project=project) for n, project in enumerate(("p", "q", None))]
    make_state(tmp_path, log, Rules())
    for members, expected in (
        ([Member("ada"), Member("ada", "p"), Member("ada")], 3),
        ([Member("ada", "p"), Member("ada", "q")], 2),
        ([Member("ada", "x")], 0),
    ):
        assert by_user(ask(tmp_path, members, "edits", group="activity")) == {"ada": expected}


def test_an_empty_state_and_an_empty_cohort(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    found = ask(tmp_path, [], "edits", aggregator="sum")
    assert (found.rows, found.sizes, found.status, found.as_of) == (((0,),), (0,), "undefined", None)
    assert ask(tmp_path, [], "edits", aggregator="mean").rows == ((None,),)
    assert ask(tmp_path, ["ada"], "retention", aggregator="pooled").rows == ()
    assert statuses(ask(tmp_path, ["ada"], "threshold")) == {"ada": "undefined"}
    assert by_user(ask(tmp_path, ["ada"], "rolling_active")) == {"ada": 0}

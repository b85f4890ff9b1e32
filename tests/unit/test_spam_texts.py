"""One text again and again: whose, when it counts, and that every way into a state agrees."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.event import Event
from state.fold import UserState
from state.live import Message
from state.rebuild import rebuild
from state.rules import Rules
from state.spam.repeats import Posted, Repeats
from state.spam.texts import OF_ONE, OF_SEVERAL, REACH, Copy, Repeated, Texts
from state.store import open_store
from state.weeks import DAY, HOUR, WEEK, day_of
from tests.support.logs import START
from tests.support.spam import MINUTE, OTHER_TOPIC, backfilled, flags_of, go_live, tenured

#: The log has a history by then.
NOW = START + 3 * WEEK

TEXT = "an advert"


def new(first: int = NOW) -> UserState:
    """An account without an earlier active day."""
    return UserState(first, first, first, 1, {}, (day_of(first),))


def told(copies: Sequence[Copy], users: dict[str, UserState] | None = None, together: int = 1) -> Texts:
    """What the copies come to, in the order given, so many at a time; everybody is new unless said otherwise."""
    texts = Texts()
    texts.begin(START)
    everybody = {copy.name: (users or {}).get(copy.name, new()) for copy in copies}
    for first in range(0, len(copies), together):
        posts = [(TEXT, copy) for copy in copies[first : first + together]]
        # One of each is about something else.
        posts += [(f"{copy.msg_id} alone", copy) for _, copy in posts]
        texts.add(posts, everybody, max(copy.at for _, copy in posts))
    texts.changed()
    return texts


def copies(*names: str, begins: int = NOW, gap: int = HOUR) -> list[Copy]:
    """One copy a name, `gap` apart."""
    return [Copy(begins + place * gap, f"{place:03}", name) for place, name in enumerate(names)]


def several(count: int, gap: int = HOUR, begins: int = NOW) -> list[Copy]:
    """So many copies by so many accounts."""
    return copies(*(f"user{n}" for n in range(count)), gap=gap, begins=begins)


def test_the_fourth_copy_of_one_account() -> None:
    mine = copies(*["ada"] * OF_ONE)
    assert not told(mine[:-1]).of("ada")
    (found,) = told(mine).of("ada")
    assert (found.msg_id, found.copies, found.accounts) == (mine[-1].msg_id, OF_ONE, 1)
    assert found.evidence == tuple(copy.msg_id for copy in mine)


def test_the_eighth_copy_of_several_tells_of_everybody() -> None:
    spread = several(OF_SEVERAL)
    assert not told(spread[:-1]).of("user0")
    texts = told(spread)
    assert {texts.of(copy.name)[0].msg_id for copy in spread} == {spread[-1].msg_id}
    assert texts.of("user0")[0].accounts == OF_SEVERAL


def test_whoever_posts_it_later_is_one_of_them() -> None:
    texts = told([*several(OF_SEVERAL), Copy(NOW + 10 * HOUR, "later", "zoë")])
    assert texts.of("zoë")[0].msg_id == "later"


def test_a_flood_of_one_text_tells_of_each_account_once_and_looks_at_each_copy_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands post one text: what a copy costs must not grow with how many there were."""
    looked: list[Posted] = []
    take = Repeats._take

    def counted(self: Repeats, copy: Posted, judged: int, *, is_new: bool) -> Iterator[tuple[str, Repeated]]:
        looked.append(copy)
        return take(self, copy, judged, is_new=is_new)

    monkeypatch.setattr(Repeats, "_take", counted)
    texts = Texts()
    texts.begin(START)
    flood = several(500, gap=MINUTE)
    told_of: list[str] = []
    for copy in flood:
        texts.add([(TEXT, copy)], {copy.name: new()}, copy.at)
        told_of += texts.changed()
    assert looked[OF_SEVERAL:] == flood[OF_SEVERAL:]
    assert sorted(told_of) == sorted(copy.name for copy in flood)


def test_a_day_is_the_window() -> None:
    assert not told(copies(*["ada"] * OF_ONE, gap=8 * HOUR)).of("ada")
    assert not told(several(OF_SEVERAL, gap=4 * HOUR)).of("user0")


def test_a_text_of_established_people_is_a_template() -> None:
    users = {"old hand": tenured(0, 1, 2, 3, 4)}
    quoted = Copy(NOW - HOUR, "quoted", "old hand")
    assert not told([quoted, *several(OF_SEVERAL)], users).of("user0")
    long_ago = quoted._replace(at=NOW - 2 * DAY)
    assert told([long_ago, *several(OF_SEVERAL)], users).of("user0"), "a day later it may be an advert again"


def test_a_text_that_was_about_in_the_days_before_is_a_saying() -> None:
    assert not told([Copy(NOW - 4 * DAY, "before", "zoë"), *several(OF_SEVERAL)]).of("user0")
    assert told([Copy(NOW - 2 * DAY, "before", "zoë"), *several(OF_SEVERAL)]).of("user0")


def test_a_log_that_has_just_begun_knows_of_no_text_whether_it_is_fresh() -> None:
    assert not told(several(OF_SEVERAL, begins=START + DAY)).of("user0")


@given(
    st.lists(
        st.tuples(st.integers(0, 9 * 24), st.sampled_from(("ada", "bob", "cy", "old hand"))), min_size=1, max_size=30
    ),
    st.randoms(use_true_random=False),
    st.integers(1, 12),
)
def test_order_and_repetition_make_no_difference(posts: list[tuple[int, str]], random: Random, together: int) -> None:
    users = {"old hand": tenured(0, 1, 2, 3, 4)}
    in_order = sorted(Copy(NOW + hours * HOUR, f"{place:03}", name) for place, (hours, name) in enumerate(posts))
    arriving = [*in_order, *in_order[::3]]
    random.shuffle(arriving)
    names = {copy.name for copy in in_order}
    everybody = {name: users.get(name, new()) for name in names}
    at_once = Texts.of_all(((TEXT, copy) for copy in in_order), everybody, START)
    arrived = told(arriving, users, together)
    assert {name: arrived.of(name) for name in names} == {name: at_once.of(name) for name in names}


@given(
    st.lists(
        st.tuples(st.integers(0, 60 * 24), st.sampled_from(("ada", "bob", "old hand")), st.sampled_from((TEXT, "two"))),
        min_size=1,
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_forgetting_old_copies_changes_no_later_crossing(posts: list[tuple[int, str, str]], random: Random) -> None:
    """Whatever is older than seven days may go at any time; so may whoever posted nothing else."""
    users = {"old hand": tenured(0, 1, 2, 3, 4)}
    ordered = sorted((Copy(NOW + hours * HOUR, f"{n:03}", name), text) for n, (hours, name, text) in enumerate(posts))
    everybody = {copy.name: users.get(copy.name, new()) for copy, _ in ordered}
    wanted = Texts.of_all(((text, copy) for copy, text in ordered), everybody, START)
    texts = Texts()
    texts.begin(START)
    found: set[tuple[str, Repeated]] = set()
    for copy, text in ordered:
        texts.add([(text, copy)], everybody, copy.at)
        texts.changed()
        found.update((name, each) for name in everybody for each in texts.of(name) if each.at == copy.at)
        if random.random() < 0.3:
            texts.drop_before(copy.at - REACH, 1000)
    assert found == {(name, each) for name in everybody for each in wanted.of(name)}


def written(name: str, at: int, text: str | None = TEXT) -> Message:
    """A comment that carries a text."""
    return (Event(f"{at}-{name}", at, None, OTHER_TOPIC, name, "actor", "pagure", content_hash=text),)


def test_every_way_into_a_state_finds_them(tmp_path: Path) -> None:
    before = [written("old hand", START + day * DAY, None) for day in range(12)]
    campaign = [written(f"user{n}", NOW + n * 20 * MINUTE) for n in range(OF_SEVERAL + 2)]
    later = [written("user0", NOW + 5 * DAY + n * MINUTE, "another") for n in range(OF_ONE)]
    late = [campaign[3], *campaign[5:7]]
    states = {}
    for way, parts in {
        "in order": [before, campaign, later],
        "late": [before, [m for m in campaign if m not in late], late, later, campaign],
        "one by one": [[message] for message in (*before, *campaign, *later)],
    }.items():
        store = open_store(tmp_path / way, Rules())
        go_live(store, parts)
        states[way] = flags_of(store)
        store.close()
    store = open_store(tmp_path / "imported", Rules())
    backfilled(store, [*before, *campaign, *later])
    states["imported"] = flags_of(store)
    store.close()
    store = rebuild(tmp_path / "late")
    states["rebuilt"] = flags_of(store)
    store.close()
    assert {flag.rule for flag in states["in order"]} == {"same-text"}
    assert len(states["in order"]) == OF_SEVERAL + 2, "user0's second text falls into the week of the first flag"
    assert all(found == states["in order"] for found in states.values())


def test_an_older_archive_leaves_a_later_campaign_as_it_is(tmp_path: Path) -> None:
    """Its screening looks at every flag after it, so it has to look at the texts after it too."""
    history = [written("old hand", START + day * DAY, None) for day in range(12)]
    campaign = [written(f"user{n}", NOW + 2 * WEEK + n * MINUTE) for n in range(OF_SEVERAL)]
    store = open_store(tmp_path / "state", Rules())
    go_live(store, [history, campaign])
    found = flags_of(store)
    backfilled(store, [written("somebody", START + WEEK + HOUR, None)])
    assert flags_of(store) == found
    assert len(found) == OF_SEVERAL
    store.close()

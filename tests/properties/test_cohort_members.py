"""The algebra against Python's sets, over every kind of term at once; uploads against what they were made of."""

import csv
import io
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from state.cohorts.algebra import canonical, parse
from state.cohorts.definitions import parse_definitions
from state.cohorts.kept import add_cohort, members_of, tag_named
from state.cohorts.members import define_members
from state.cohorts.upload import Row, parse_upload
from state.duck import connect
from state.event import Event
from state.rules import Rules
from state.store import Store, open_store
from state.weeks import DAY, WEEK, week_named, week_start
from tests.support.logs import feed, scratch

START = week_start(week_named("2024-06-03"))
USERS = tuple(f"user-{number}" for number in range(8))
PROJECTS = ("enwiki", "frwiki")

DEFINED = """
[[event]]
id = "flock"
badge = "b1"

[[campaign]]
id = "june"
start = 2024-06-03
end = 2024-06-12

[[cohort]]
id = "team"
users = ["user-0", "user-3", "nobody"]

[[cohort]]
id = "kept"
tag = "anywhere"
"""

#: A member: the user, and the project in which they count, None being any.
Member = tuple[str, str | None]
Members = frozenset[Member]


def normal(members: set[Member]) -> Members:
    """Whoever counts in any project needs no other."""
    return frozenset((user, where) for user, where in members if where is None or (user, None) not in members)


def both(one: Members, other: Members) -> Members:
    """Any project and a certain one have that one in common."""
    common = {
        (user, where or there)
        for user, where in one
        for also, there in other
        if user == also and (where is None or there is None or where == there)
    }
    return normal(common)


def evaluate(expression: str, terms: dict[str, Members]) -> Members:
    """By Python's sets, as the algebra is defined."""
    result: set[Member] = set()
    for product in expression.split("~"):
        first, *others = product.split("&")
        members = terms[first]
        for other in others:
            members = both(members, terms[other])
        result |= members
    return normal(result)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, frozenset[str]], dict[str, Members]]:
    """Who registered when, who has which badge, and who is in which uploaded cohort."""
    registered = draw(st.dictionaries(st.sampled_from(USERS), st.integers(0, 3 * WEEK // DAY - 1)))
    some = st.frozensets(st.sampled_from(USERS), min_size=1)
    member = st.tuples(st.sampled_from(USERS), st.none() | st.sampled_from(PROJECTS))
    badges = {"b1": draw(some), "b2": draw(some)}
    anywhere = draw(some)
    uploads = {
        "anywhere": frozenset((user, None) for user in anywhere),
        "somewhere": frozenset(draw(st.sets(member, min_size=1))),
        "elsewhere": frozenset(draw(st.sets(member, min_size=1))),
    }
    return registered, badges, uploads


def build(store: Store, registered: dict[str, int], badges: dict[str, frozenset[str]]) -> None:
    award = "org.fedoraproject.prod.badges.badge.award"
    create = "org.fedoraproject.prod.fas.user.create"
    events = [
        Event(f"seen-{u}", START, None, "git.receive", u, "actor", "git", project=p) for u in USERS for p in PROJECTS
    ]
    events = [event._replace(msg_id=f"{event.msg_id}-{event.project}") for event in events]
    events += [Event(f"c-{u}", START + day * DAY, None, create, u, "actor", "fas") for u, day in registered.items()]
    events += [
        Event(f"{badge}-{user}", START + DAY, None, award, user, "actor", "badges", object=badge)
        for badge, users in badges.items()
        for user in users
    ]
    feed(store, [(event,) for event in events])


@settings(max_examples=25)
@given(worlds(), st.data())
def test_every_expression_means_what_pythons_sets_say(
    world: tuple[dict[str, int], dict[str, frozenset[str]], dict[str, Members]], data: st.DataObject
) -> None:
    registered, badges, uploads = world

    def signed_up(holds: Callable[[int], bool]) -> Members:
        return frozenset((user, None) for user, day in registered.items() if holds(day))

    terms = {
        "all": frozenset((user, None) for user in USERS),
        "week:2024-06-03": signed_up(lambda day: day < 7),
        "week:2024-06-10": signed_up(lambda day: 7 <= day < 14),
        "month:2024-06": signed_up(lambda _: True),
        "month:2024-05": frozenset(),
        "campaign:june": signed_up(lambda day: day < 9),
        "badge:b1": frozenset((user, None) for user in badges["b1"]),
        "badge:b2": frozenset((user, None) for user in badges["b2"]),
        "event:flock": frozenset((user, None) for user in badges["b1"]),
        "team": frozenset({("user-0", None), ("user-3", None)}),
        "kept": uploads["anywhere"],
        "tag:anywhere": uploads["anywhere"],
        **{name: normal(set(members)) for name, members in uploads.items()},
    }
    with scratch() as directory:
        store = open_store(directory)
        build(store, registered, badges)
        for name, members in uploads.items():
            lines = "\n".join(user if where is None else f"{user},{where}" for user, where in members)
            added = add_cohort(store, name, lines.encode(), now=0)
            assert set(added.report.valid) == members
            terms[str(added.id)] = terms[name]
        definitions = parse_definitions(DEFINED, "definitions")
        products = st.lists(st.sampled_from(sorted(terms)), min_size=1, max_size=4).map("&".join)
        for expression in data.draw(
            st.lists(st.lists(products, min_size=1, max_size=4).map("~".join), min_size=5, max_size=5)
        ):
            with connect(directory) as duck:
                size = define_members(duck, store.conn, expression, definitions, Rules())
                found = duck.execute("SELECT username, project FROM member").fetchall()
                again = define_members(duck, store.conn, canonical(parse(expression)), definitions, Rules())
            assert len(found) == len(set(found))
            assert set(found) == evaluate(expression, terms), expression
            assert size.users == again.users == len({user for user, _ in found})
            assert size.unknown == (("nobody",) if "team" in expression else ())
        store.close()


_names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(
    lambda name: name.strip() == name and name.isprintable() and name.lower() not in {"user", "username", "user_name"}
)


@given(
    st.lists(
        st.tuples(_names, st.none() | _names.filter(lambda name: "," not in name and '"' not in name)), max_size=20
    ),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.booleans(),
    st.booleans(),
)
def test_what_a_spreadsheet_writes_is_read_as_it_was(
    members: list[tuple[str, str | None]], end: str, marked: bool, headed: bool
) -> None:
    lines = io.StringIO()
    # Every name with a comma has a project, as without one its last part would be taken for one.
    rows = [(user, "wiki" if where is None and "," in user else where) for user, where in members]
    out = csv.writer(lines, lineterminator=end, quoting=csv.QUOTE_ALL)
    if headed:
        out.writerow(("user", "project"))
    for user, where in rows:
        out.writerow((user,) if where is None else (user, where))
    content = (("\ufeff" if marked else "") + lines.getvalue()).encode()
    found = list(parse_upload(content))
    assert [(row.user, row.project) for row in found if isinstance(row, Row)] == rows
    assert len(found) == len(rows)


@given(st.binary(max_size=200) | st.text('a,"\r\n \x00\ufeffü;\t', max_size=60).map(str.encode))
def test_every_line_is_a_row_or_refused_with_its_number(content: bytes) -> None:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    lines = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    numbers = [row.line for row in parse_upload(content)]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= len(lines) for number in numbers)
    assert all(row.reason for row in parse_upload(content) if not isinstance(row, Row))


def test_a_kept_cohort_is_what_was_uploaded() -> None:
    with scratch() as directory:
        store = open_store(directory)
        build(store, {}, {"b1": frozenset({"user-1"})})
        add_cohort(store, "team", b"user-2,frwiki\nuser-1\n", now=5)
        assert sorted(members_of(store.conn, tag_named(store.conn, "team"))) == [("user-1", None), ("user-2", "frwiki")]
        assert members_of(store.conn, tag_named(store.conn, "badge:b1")) == [("user-1", None)]
        store.close()

"""Benign happenings that look like an attack: many sign-ups, many posts, or both."""

from collections.abc import Sequence
from random import Random

from consumer.simulation import people
from consumer.simulation.bots import REBUILDER
from consumer.simulation.incident import HOUR, MINUTE, Incident
from consumer.simulation.model import Account, Surge
from consumer.simulation.names import Names
from state.weeks import DAY, SECOND

#: Known people of a community of full size; a smaller one has fewer packages and smaller releases.
_FULL_SIZE = 150

#: Sign-ups at a hackfest, all within an hour.
_HACKFEST = 40


def hackfest(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A room full of new people who sign up in one hour and try things out together."""
    incident = Incident(surge=Surge("hackfest", begins, begins + HOUR, benign=True))
    for _ in range(_HACKFEST):
        person, at = people.newcomer(names, rng), begins + rng.randrange(3600) * SECOND
        incident.welcome(rng, at, person, f"hackfest_{person.account.style}")
        first = at + rng.randrange(5, 90) * MINUTE
        incident.messages += people.session(person, first, rng.randrange(1, 5), list(known), rng)
    return incident


def mass_rebuild(_names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """The release bot pushes to every package within a day; packagers repair by the hundred what breaks."""
    incident, hours = Incident(), rng.randrange(12, 31)
    incident.surge = Surge("mass_rebuild", begins, begins + hours * HOUR, benign=True)
    for _ in range(_scaled(rng.randrange(4000, 8000), known)):
        incident.say(rng, begins + rng.randrange(hours * 3600) * SECOND, "git.receive", REBUILDER)
    for packager in rng.sample(known, min(len(known), rng.randrange(15, 31))):
        at = begins + rng.randrange(hours * 1800) * SECOND
        for _ in range(rng.randrange(20, 150)):
            incident.say(rng, at, rng.choice(("git.receive", "git.receive", "copr.build.start")), packager)
            at += round(2 + rng.expovariate(1 / 60)) * SECOND
    return incident


def event_checkins(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A conference of three days: everybody checks in for badges, and those without an account make one."""
    opens = _next_morning(begins)
    incident = Incident(surge=Surge("event_checkins", begins, opens + 3 * DAY, benign=True))
    attendees = [(opens, name) for name in rng.sample(known, min(len(known), rng.randrange(50, 100)))]
    for _ in range(rng.randrange(40, 100)):
        at = opens + rng.choice((0, 0, 0, 1, 2)) * DAY + rng.randrange(4 * 3600) * SECOND
        person = people.newcomer(names, rng)
        attendees.append((at, incident.welcome(rng, at, person, f"event_checkins_{person.account.style}")))
    for since, name in attendees:
        at = since + rng.randrange(60, 3600) * SECOND
        for _ in range(rng.randrange(2, 9)):
            incident.say(rng, at, "badges.badge.award", name)
            # From one booth to the next; some scan a row of codes at once.
            at += rng.choice((3 * SECOND, 10 * SECOND, rng.randrange(600, 40_000) * SECOND))
    return incident


def release_day(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A new release: three to five times the usual sign-ups for a day and a half, and a busy forum."""
    incident, seconds = Incident(), 36 * 3600
    incident.surge = Surge("release_day", begins, begins + seconds * SECOND, benign=True)
    for _ in range(_scaled(rng.randrange(130, 260), known)):
        person, at = people.newcomer(names, rng), begins + rng.randrange(seconds) * SECOND
        incident.welcome(rng, at, person, f"release_day_{person.account.style}")
        if rng.random() < 0.5:
            first = at + rng.randrange(120, 7200) * SECOND
            incident.messages += people.session(person, first, rng.randrange(1, 4), list(known), rng)
    for _ in range(_scaled(rng.randrange(150, 400), known)):
        kind = rng.choice(("discourse.post.post_created", "discourse.post.post_created", "bodhi.update.comment"))
        incident.say(rng, begins + rng.randrange(seconds) * SECOND, kind, rng.choice(known))
    return incident


_TEST_DAY = ("bodhi.update.comment",) * 5 + ("wiki.article.edit",) * 4 + ("pagure.issue.new",) * 2


def test_day(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """Old hands and new people enter results all day: comments, wiki edits, some issues."""
    opens = _next_morning(begins)
    incident = Incident(surge=Surge("test_day", begins, opens + 12 * HOUR, benign=True))
    testers = [(opens, name) for name in rng.sample(known, min(len(known), rng.randrange(20, 45)))]
    for _ in range(rng.randrange(5, 16)):
        person, at = people.newcomer(names, rng), opens + rng.randrange(6 * 3600) * SECOND
        testers.append((at, incident.welcome(rng, at, person, f"test_day_{person.account.style}")))
    for since, name in testers:
        at = since + rng.randrange(5, 90) * MINUTE
        for _ in range(rng.randrange(4, 16)):
            incident.say(rng, at, rng.choice(_TEST_DAY), name)
            # One test takes a while; its result goes to two places at once.
            at += (rng.randrange(15, 90) if rng.random() < 0.2 else round(60 + rng.expovariate(1 / 900))) * SECOND
    return incident


def power_user(_names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """Somebody who has been here for long files dozens of issues in an hour."""
    incident = Incident(surge=Surge("power_user", begins, begins + HOUR, benign=True))
    if known:
        name = rng.choice(known[: max(1, len(known) // 2)])  # in the order in which they became known
        for _ in range(rng.randrange(20, 41)):
            incident.say(rng, begins + rng.randrange(3600) * SECOND, "pagure.issue.new", name)
    return incident


def enthusiast(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A newcomer who files 3 to 6 issues on the first evening, minutes apart, and talks about them."""
    incident, person = Incident(), people.newcomer(names, rng)
    name = incident.welcome(rng, begins, person, "enthusiast")
    at = begins + rng.randrange(10, 60) * MINUTE
    for _ in range(rng.randrange(3, 7)):
        incident.say(rng, at, "pagure.issue.new", name)
        if known and rng.random() < 0.4:
            answered = at + rng.randrange(60, 300) * SECOND
            incident.say(rng, answered, "pagure.issue.comment.added", name, others=(rng.choice(known),))
        at += rng.randrange(120, 1200) * SECOND
    return incident


_AUTOMATED = ("pagure.issue.comment.added", "bodhi.update.comment", "pagure.issue.new", "discourse.post.post_created")


def new_bot(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """Automation that nobody registered: from one day on it posts around the clock, for weeks."""
    incident, kind = Incident(), rng.choice(_AUTOMATED)
    name = names.claim(
        f"{rng.choice(('sync', 'report', 'triage', 'mirror', 'nightly'))}-{rng.choice(('bot', 'runner'))}"
    )
    incident.sign_up(rng, begins, Account(name, "bot", "new_bot"))
    at, ends, every = begins + DAY, begins + rng.randrange(14, 43) * DAY, rng.randrange(900, 3600)
    while at < ends:
        incident.say(
            rng, at, kind, name, f"automated report\nrun {rng.randrange(10**6)} of the nightly job has finished"
        )
        at += (every + rng.randrange(-120, 121)) * SECOND
    return incident


def _scaled(count: int, known: Sequence[str]) -> int:
    return count * min(len(known), _FULL_SIZE) // _FULL_SIZE


def _next_morning(at: int) -> int:
    """Eight o'clock UTC, at `at` or next after it."""
    return at + (8 * HOUR - at) % DAY

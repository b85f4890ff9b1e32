"""Attacks: what spam accounts do."""

from collections.abc import Callable, Sequence
from math import exp, log
from random import Random

from consumer.simulation import people
from consumer.simulation.adverts import advert, numbered
from consumer.simulation.incident import MINUTE, Incident
from consumer.simulation.model import Account, Surge
from consumer.simulation.names import Names
from state.weeks import DAY, SECOND

#: What spam is posted as, beside new issues.
_OTHER_POSTS = ("discourse.topic.topic_created", "discourse.post.post_created", "pagure.issue.comment.added")

#: Share of lone spammers who post one text again and again; the others write each post anew.
_REPEATS_ITSELF = 0.5


def fast_burst(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A fresh account that posts every few seconds until somebody stops it."""
    incident = Incident()
    at = begins + rng.randrange(120, 1200) * SECOND
    name = incident.sign_up(rng, begins, Account(names.throwaway(), "spam", "fast_burst", at))
    _posts(incident, rng, name, at, rng.randrange(12, 45), _seconds_apart, issues=0.7)
    return incident


def hand_paced(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A fresh account whose owner pastes post after post by hand, most of them new issues."""
    incident = Incident()
    at = begins + rng.randrange(120, 3600) * SECOND
    name = incident.sign_up(rng, begins, Account(names.throwaway(), "spam", "hand_paced", at))
    _posts(incident, rng, name, at, rng.randrange(15, 41), lambda rng: rng.lognormvariate(log(50), 0.35), issues=0.85)
    return incident


def drip(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """A fresh account that files issues 4 to 40 minutes apart, for many hours."""
    incident = Incident()
    at = begins + rng.randrange(120, 7200) * SECOND
    name = incident.sign_up(rng, begins, Account(names.throwaway(), "spam", "drip", at))
    _posts(incident, rng, name, at, rng.randrange(25, 61), lambda rng: 240 * exp(rng.random() * log(10)), issues=0.9)
    return incident


def sleeper_14(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """An account that bursts two weeks after it signed up."""
    return _sleeper(names, known, rng, begins, 14)


def sleeper_45(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """An account that bursts six weeks after it signed up."""
    return _sleeper(names, known, rng, begins, 45)


def _sleeper(names: Names, known: Sequence[str], rng: Random, begins: int, days: int) -> Incident:
    incident = Incident()
    at = begins + days * DAY + rng.randrange(86_400) * SECOND
    name = incident.sign_up(rng, begins, Account(names.throwaway(), "spam", f"sleeper_{days}", at))
    if known and rng.random() < 0.5:
        innocent = begins + rng.randrange(60, 86_400) * SECOND
        incident.say(rng, innocent, "pagure.issue.comment.added", name, others=(rng.choice(known),))
    _posts(incident, rng, name, at, rng.randrange(12, 45), _seconds_apart, issues=0.7)
    return incident


def patterned_wave(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """Accounts of one name and four digits sign up for hours; each posts a little soon after."""
    stem, text = names.stem(), advert(rng)
    incident, at = Incident(), begins
    for _ in range(rng.randrange(18, 45)):
        account = Account(names.claim(f"{stem}{rng.randrange(1000, 10_000)}"), "spam", "patterned_wave", at)
        name, post = incident.sign_up(rng, at, account), at
        for _ in range(rng.randrange(1, 4)):
            post += rng.randrange(60, 900) * SECOND
            incident.say(rng, post, "pagure.issue.new", name, numbered(text, rng))
        at += int(rng.expovariate(1 / 300) + 5) * SECOND
    incident.surge = Surge("patterned_wave", begins, at, benign=False)
    return incident


def human_wave(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """Accounts with names like anybody's sign up within a few hours; most post a little, each its own text."""
    incident = Incident()
    ends = begins + rng.randrange(120, 241) * MINUTE
    for _ in range(rng.randrange(30, 81)):
        at = begins + rng.randrange((ends - begins) // SECOND) * SECOND
        name = incident.sign_up(rng, at, Account(names.ordinary(), "spam", "human_wave", at))
        if rng.random() < 0.85:
            first = at + rng.randrange(120, 3600) * SECOND
            _posts(incident, rng, name, first, rng.randrange(1, 4), _minutes_apart, issues=0.7)
    incident.surge = Surge("human_wave", begins, ends, benign=False)
    return incident


def mimic(names: Names, known: Sequence[str], rng: Random, begins: int) -> Incident:
    """An account that lives like a newcomer for days, with a spam post now and then."""
    incident, person = Incident(), people.newcomer(names, rng)
    person.account = Account(names.throwaway(), "spam", "mimic")
    lives = rng.randrange(6, 21)
    for day in range(lives):
        if day == 0 or rng.random() < 0.6:
            at = begins + day * DAY + rng.randrange(300, 80_000) * SECOND
            incident.messages += people.session(person, at, rng.randrange(1, 5), list(known), rng)
    spam = sorted(begins + rng.randrange(86_400, lives * 86_400) * SECOND for _ in range(rng.randrange(4, 10)))
    for at in spam:
        _posts(incident, rng, person.account.name, at, 1, _minutes_apart, issues=0.5)
    incident.sign_up(rng, begins, person.account._replace(onset=spam[0]))
    return incident


def flood(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """An account that posts for 2 to 4 days, many hours a day, a few minutes apart."""
    incident = Incident()
    at = begins + rng.randrange(120, 3600) * SECOND
    name = incident.sign_up(rng, begins, Account(names.throwaway(), "spam", "flood", at))
    for day in range(rng.randrange(2, 5)):
        first = at + day * DAY
        _posts(
            incident, rng, name, first, rng.randrange(80, 200), lambda rng: 20 + rng.expovariate(1 / 220), issues=0.6
        )
    return incident


def shared_text(names: Names, _known: Sequence[str], rng: Random, begins: int) -> Incident:
    """One text over many accounts of unlike names, few posts each, within a day or two."""
    incident, text = Incident(), advert(rng)
    hours = rng.randrange(10, 31)
    for _ in range(rng.randrange(8, 21)):
        at = begins + rng.randrange(hours * 3600) * SECOND
        post = at + rng.randrange(180, 10_800) * SECOND
        name = incident.sign_up(rng, at, Account(names.throwaway(), "spam", "shared_text", post))
        for _ in range(rng.randrange(1, 4)):
            incident.say(rng, post, _post_kind(rng, 0.6), name, numbered(text, rng))
            post += rng.randrange(600, 7200) * SECOND
    last = max(message.at for message in incident.messages)
    incident.surge = Surge("shared_text", begins, last + SECOND, benign=False)
    return incident


def _posts(
    incident: Incident, rng: Random, name: str, at: int, count: int, gap: Callable[[Random], float], *, issues: float
) -> None:
    """So many spam posts of one account from `at` on; gap: seconds to the next; issues: share of new issues."""
    text = advert(rng) if rng.random() < _REPEATS_ITSELF else None
    for _ in range(count):
        incident.say(rng, at, _post_kind(rng, issues), name, numbered(text or advert(rng), rng))
        at += max(2, round(gap(rng))) * SECOND


def _post_kind(rng: Random, issues: float) -> str:
    return "pagure.issue.new" if rng.random() < issues else rng.choice(_OTHER_POSTS)


def _seconds_apart(rng: Random) -> float:
    return rng.randrange(3, 13)


def _minutes_apart(rng: Random) -> float:
    return rng.randrange(90, 2400)

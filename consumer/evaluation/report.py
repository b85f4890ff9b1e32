"""An evaluation as JSON and for people at a terminal."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import Any

from rich.console import Console
from rich.text import Text

from consumer.evaluation.accounts import Accounts, Attack
from consumer.evaluation.run import Evaluation
from consumer.evaluation.waves import Raid, WaveFigures

#: Keys of a wave, as they are told.
_KEYS = ("name", "rate", "cohort")

#: Attacks whose accounts post too little to be flagged one by one: they are judged as waves.
_AS_WAVES = ("patterned_wave", "human_wave", "shared_text")


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """The figures; recalls are shares, None where nothing was found."""
    waves, cost = evaluation.waves, evaluation.cost
    return {
        "histories": evaluation.histories,
        "calibrations": [
            {
                "version": version.version,
                "budget": version.budget,
                "ordinary": version.ordinary,
                "limit": version.limit,
                "cap": version.cap,
                "spread": version.spread,
            }
            for version in evaluation.calibrations
        ],
        "detectors": {name: _accounts(accounts) for name, accounts in evaluation.accounts.items()},
        "waves": {
            "attacks": {kind: _raids(raids) for kind, raids in _by_kind(waves.raids)},
            "benign_surges": dict(waves.surges),
            "critical_without_attackers": waves.critical,
            "critical_of_bystanders": waves.bystanders,
            "rate_a_week_without_attackers": _a_week(waves.rate, waves),
        },
        "cost_us": {"in_order": cost.in_order_us, "late": cost.late_us, "signup": cost.signups_us},
    }


def _accounts(accounts: Accounts) -> dict[str, Any]:
    return {
        "false_flags_a_week": accounts.false_a_week,
        "false_flags": dict(accounts.false_flags),
        "unregistered_bots": accounts.bots,
        "weeks": accounts.weeks,
        "most_threads": _most_threads(accounts),
        "styles": {style: _style(attacks) for style, attacks in accounts.by_style().items()},
    }


def _style(attacks: Sequence[Attack]) -> dict[str, Any]:
    posts = [attack.posts for attack in attacks if attack.posts is not None]
    seconds = [attack.seconds for attack in attacks if attack.seconds is not None]
    return {
        "accounts": len(attacks),
        "recall": len(posts) / len(attacks),
        "median_posts": median(posts) if posts else None,
        "most_posts": max(posts, default=None),
        "median_seconds": median(seconds) if seconds else None,
    }


def _raids(raids: Sequence[Raid]) -> dict[str, Any]:
    keys = {key: sorted(raid.found[key] for raid in raids if key in raid.found) for key in _KEYS}
    return {
        "waves": len(raids),
        **{
            key: {
                "found": len(found),
                "median_signups": median(found) if found else None,
                "most": max(found, default=None),
            }
            for key, found in keys.items()
        },
    }


def show_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print accounts, waves and cost, a table each."""
    weeks = next(iter(evaluation.accounts.values())).weeks
    console.print(Text(f"{', '.join(evaluation.histories)}: {weeks:.0f} weeks judged", style="bold"), soft_wrap=True)
    names = list(evaluation.accounts)
    per_detector = {name: accounts.by_style() for name, accounts in evaluation.accounts.items()}
    lone = [style for style in per_detector[names[0]] if style not in _AS_WAVES]
    body = [
        [style, str(len(per_detector[names[0]][style])), *(_cell(per_detector[name][style]) for name in names)]
        for style in lone
    ]
    body += [
        ["false flags a week", "", *(f"{evaluation.accounts[name].false_a_week:.2f}" for name in names)],
        ["most new threads", "", *(str(_most_threads(evaluation.accounts[name])) for name in names)],
        ["unregistered bots", "", *(f"{evaluation.accounts[name].bots} flags" for name in names)],
    ]
    _table(["account", "n", *names], body, console)
    console.print(Text("recall, median posts and seconds to the flag", style="dim"), soft_wrap=True)
    console.print()
    waves, cost = evaluation.waves, evaluation.cost
    raids = [
        [kind, str(len(found)), *(_signups([raid.found.get(key) for raid in found]) for key in _KEYS)]
        for kind, found in _by_kind(waves.raids)
    ]
    _table(["wave of sign-ups", "n", *(f"by {key}" for key in _KEYS)], raids, console)
    surges = ", ".join(f"{count} {kind}" for kind, count in sorted(waves.surges.items()))
    for line in (
        "share found, median (most) sign-ups until then",
        f"without the attackers: {waves.critical} critical alarms in {surges or 'no surge'}",
        f"without the attackers: rate informs {_a_week(waves.rate, waves):.2f} times a week",
        f"critical alarms, mostly of bystanders of an attack: {waves.bystanders}",
        f"cost: {cost.in_order_us:.1f} µs a content event, {cost.late_us:.1f} if late, {cost.signups_us:.1f} a sign-up",
    ):
        console.print(Text(line, style="dim"), soft_wrap=True)


def _cell(attacks: Sequence[Attack]) -> str:
    posts = [attack.posts for attack in attacks if attack.posts is not None]
    seconds = [attack.seconds for attack in attacks if attack.seconds is not None]
    share = f"{len(posts) / len(attacks):.2f}"
    return f"{share} {median(posts):4g} {median(seconds):6.0f} s" if posts else share


def _signups(found: Sequence[int | None]) -> str:
    hits = [signups for signups in found if signups is not None]
    share = f"{len(hits) / len(found):.2f}"
    return f"{share} {median(hits):4g} ({max(hits)})" if hits else share


def _most_threads(accounts: Accounts) -> int:
    return max((attack.threads for attack in accounts.attacks), default=0)


def _by_kind(raids: Iterable[Raid]) -> list[tuple[str, list[Raid]]]:
    ordered = sorted(raids, key=lambda raid: raid.kind)
    return [(kind, list(group)) for kind, group in groupby(ordered, key=lambda raid: raid.kind)]


def _a_week(count: int, waves: WaveFigures) -> float:
    return count / waves.weeks if waves.weeks else 0.0


def _table(header: Sequence[str], body: Sequence[Sequence[str]], console: Console) -> None:
    # Not rich's own table: that squeezes its columns into 80 where the output is a file.
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    for number, row in enumerate((header, *body)):
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        console.print(Text(line, style="" if number else "bold"), soft_wrap=True)

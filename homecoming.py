"""Homecoming's command line: one short function a verb.

Results go to standard output alone, progress and logs to standard error. Exit codes: 0 done, 1 a finding,
2 wrong use or bad input (one line that says what and where), 130 interrupted.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, TextIO

import click
from rich.console import Console

from consumer.settings import Settings, listen_at, load_settings, moment_of, span_of
from state.errors import HomecomingError
from state.rules import POPULATIONS
from state.weeks import iso

_FORMATS = ("table", "json", "csv")
_IMAGES = ("png", "svg")

#: Where one figure is wrong many may be: so many say where to look.
_DIFFERENCES_SHOWN = 100

#: Where fedora-messaging looks by itself.
_SYSTEM_CONFIG = Path("/etc/fedora-messaging/config.toml")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="homecoming")
def cli() -> None:
    """Does a community come back? Weekly cohort retention, live, from a community's message bus."""


def _clock() -> int:
    """Processing time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def _option_config(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar="FEDORA_MESSAGING_CONF",
        default=lambda: _SYSTEM_CONFIG if _SYSTEM_CONFIG.exists() else None,
        help=f"fedora-messaging's TOML file; ours is [consumer_config]. {_SYSTEM_CONFIG} where it exists.",
    )(verb)


def _options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --state, which every verb on a state takes."""
    state = click.option("--state", type=click.Path(path_type=Path), help="The state directory, made where absent.")
    return _option_config(state(verb))


def _option_listen(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--listen", metavar="HOST:PORT", help="Where the page, /metrics and the API are.")(verb)


def _listen(settings: Settings, listen: str | None) -> tuple[str, int]:
    try:
        host, port = listen_at(listen) if listen else settings.http.listen
    except ValueError:
        raise HomecomingError(f"--listen: expected HOST:PORT, got {listen}") from None
    return host, port


def _settings(config: Path | None, state: Path | None) -> tuple[Settings, Path]:
    """The settings, and the state directory that they or the option name."""
    settings = load_settings(config)
    return settings, state or settings.state.directory


@contextmanager
def _reading(config: Path | None, state: Path | None) -> Iterator[Any]:
    """One consistent, read-only view of the state, which is made where it is absent."""
    from state.store import read_store, reading

    _, directory = _settings(config, state)
    with closing(read_store(directory)) as conn, reading(directory, conn):
        yield conn


@contextmanager
def _store(config: Path | None, state: Path | None) -> Iterator[Any]:
    """The state open for writing; its own definitions hold where no configuration is named."""
    from state.store import open_store

    settings, directory = _settings(config, state)
    store = open_store(directory, settings.rules() if config else None)
    try:
        yield store
    finally:
        store.close()


def _moment(text: str, option: str) -> int:
    """The event time of an ISO 8601 text; UTC where it names no zone."""
    try:
        return moment_of(text)
    except ValueError:
        raise HomecomingError(
            f"{option}: expected an ISO 8601 time from 1990 on such as 2024-06-03, got {text}"
        ) from None


def _span(text: str, option: str) -> tuple[int, int]:
    try:
        return span_of(text)
    except ValueError:
        raise HomecomingError(
            f"{option}: expected A..B, A before B, such as 2024-06-03..2024-06-10, got {text}"
        ) from None


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or the file named."""
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise HomecomingError(f"{path} cannot be written: {error.strerror}") from None


@cli.command()
@_options
@_option_listen
def consume(config: Path | None, state: Path | None, listen: str | None) -> None:
    """Listen to the live bus, until SIGTERM."""
    from consumer.service import consume as run

    settings, directory = _settings(config, state)
    raise SystemExit(run(settings, config, directory, *_listen(settings, listen), clock=_clock))


@cli.command()
@_options
@_option_listen
def serve(config: Path | None, state: Path | None, listen: str | None) -> None:
    """The HTTP side alone, over a state that another process feeds."""
    from consumer.service import serve as run

    settings, directory = _settings(config, state)
    run(settings, directory, *_listen(settings, listen))


@cli.command()
@_option_config
@_option_listen
@click.option("--seed", default=1, show_default=True, help="Another seed is another community.")
@click.option("--weeks", type=click.IntRange(1, 1000), default=58, show_default=True, help="Weeks of history.")
@click.option("--state", type=click.Path(path_type=Path), help="Keep its state there; in no place unless named.")
def demo(config: Path | None, listen: str | None, seed: int, weeks: int, state: Path | None) -> None:
    """A simulated community, live: no broker, no network."""
    from consumer.demo import demo as run

    settings = load_settings(config)
    run(settings, *_listen(settings, listen), seed=seed, weeks=weeks, clock=_clock, keep=state)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_options
@click.option("--covers", metavar="A..B", help="The archives hold everything from A to B: heals gaps.")
def backfill(files: tuple[Path, ...], config: Path | None, state: Path | None, covers: str | None) -> None:
    """Bring archives in: Parquet, CSV, datagrepper's JSON, recorded JSON lines. The same again changes nothing."""
    from consumer.backfill import backfill as run

    span = _span(covers, "--covers") if covers else None
    with _store(config, state) as store:
        for path, (found, dead) in run(store, files, _clock()):
            click.echo(
                f"{path}: {found.events} new events of {found.rows}, {found.messages} new messages"
                + (f", {dead} dead letters" if dead else "")
                + (f", {found.expired} messages of expired weeks dropped" if found.expired else ""),
                err=True,
            )
        if span:
            from state.coverage import cover

            with store.writing() as conn:
                cover(conn, "backfill", *span)


@cli.command("catch-up")
@_options
@click.option("--since", metavar="TIME", help="From here (ISO 8601) until now, or until --until.")
@click.option("--until", metavar="TIME", help="Up to here.")
@click.option("--gaps", is_flag=True, help="Fill every known gap in coverage instead.")
@click.option("--url", help="Another datagrepper.")
def catch_up(
    config: Path | None, state: Path | None, since: str | None, until: str | None, gaps: bool, url: str | None
) -> None:
    """Fill what was missed from datagrepper, deduplicated by message id."""
    from consumer.backfill import catch_up as run
    from state.coverage import gaps as known_gaps

    if gaps == bool(since) or (gaps and until):
        raise HomecomingError("catch-up: name either --since TIME (and --until TIME) or --gaps")
    settings, _ = _settings(config, state)
    with _store(config, state) as store:
        # What is still to come is not covered by asking for it now.
        end = min(_moment(until, "--until") if until else _clock(), _clock())
        spans = known_gaps(store.conn) if gaps else [(_moment(since or "", "--since"), end)]
        for start, last in spans:
            if start >= last:
                raise HomecomingError(f"--since: {iso(start)} is not before {iso(last)}")
            found = run(store, settings.catch_up, url, start, last, _clock)
            click.echo(
                f"{iso(start)} to {iso(last)}: {found.messages} new messages, {found.events} new events", err=True
            )


@cli.command()
@_options
@click.option("--population", default="all", show_default=True, help=f"One of {', '.join(POPULATIONS)}.")
@click.option("--weeks", type=click.IntRange(1, 2000), help="So many offsets, from 0 on.")
@click.option("--format", "form", type=click.Choice((*_FORMATS, "html", *_IMAGES)), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="A file instead of standard output.")
def retention(
    config: Path | None, state: Path | None, population: str, weeks: int | None, form: str, output: Path | None
) -> None:
    """The retention table: who of each week's sign-ups came back, week by week; html, png and svg are pictures."""
    from metrics.formats import retention_csv, retention_json
    from metrics.pictures.document import retention_html
    from metrics.pictures.extra import require
    from metrics.table import show_retention
    from state.reading import retention as read

    if form in _IMAGES:
        require(f"--format {form}")
        if form == "png" and output is None and sys.stdout.isatty():
            raise HomecomingError("retention: a PNG is nothing for a terminal; name a file with --output FILE")
    with _reading(config, state) as conn:
        found = read(conn, population, weeks)
    if form in _IMAGES:
        from metrics.pictures.files import image
        from metrics.pictures.retention import picture

        drawn = image(picture(found), "png" if form == "png" else "svg")
        if output is None:
            sys.stdout.buffer.write(drawn)
        else:
            output.write_bytes(drawn)
        return
    with _output(output) as file:
        if form == "table":
            show_retention(found, Console(file=file))
        else:
            write = {"json": retention_json, "csv": retention_csv, "html": retention_html}[form]
            print(write(found).rstrip("\n"), file=file)


@cli.command()
@_options
@click.option(
    "--definitions",
    type=click.Path(path_type=Path),
    help="Events and campaigns (TOML), instead of consumer_config.cohorts.definitions.",
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A directory, made where absent.")
@click.option("--weeks", type=click.IntRange(2, 200), default=26, show_default=True, help="Offsets, newest cohorts.")
@click.option("--cohort", help="Whose funnel; the sign-ups of a month three months ago unless named.")
@click.option("--public", is_flag=True, help="For everybody: nothing about fewer than http.min_cohort people.")
@click.option("--inexact", is_flag=True, help="Answer although a part of it has expired.")
def report(
    config: Path | None,
    state: Path | None,
    definitions: Path | None,
    output: Path,
    weeks: int,
    cohort: str | None,
    public: bool,
    inexact: bool,
) -> None:
    """Every picture of a state: report.html, which holds them all, and a PNG each."""
    from metrics.pictures.extra import require

    require("report")
    from metrics.report import find, write_report
    from metrics.report import public as for_everybody

    found = _of_log(
        config,
        state,
        definitions,
        lambda duck, conn, rules, defined: find(
            duck, conn, rules, defined, weeks=weeks, cohort=cohort, exact=not inexact
        ),
    )
    if public:
        settings, _ = _settings(config, state)
        found = for_everybody(found, settings.http.min_cohort)
    for path in write_report(found, output):
        print(path)


@cli.command()
@_options
@click.option("--format", "form", type=click.Choice(("table", "json")), default="table", show_default=True)
def status(config: Path | None, state: Path | None, form: str) -> None:
    """How much is kept, and up to when."""
    from metrics.formats import status_json
    from metrics.table import show_status
    from state.reading import status as read

    with _reading(config, state) as conn:
        found = read(conn)
    if form == "json":
        print(status_json(found))
    else:
        show_status(found, Console())


@cli.group(invoke_without_command=True)
@_options
@click.option("--format", "form", type=click.Choice(("table", "json")), default="table", show_default=True)
@click.pass_context
def flags(context: click.Context, config: Path | None, state: Path | None, form: str) -> None:
    """Who bursts like spam, and waves of sign-ups: every flag with its reason, the latest first."""
    from metrics.formats import flags_json
    from metrics.table import show_flags
    from state.flags import flags as read

    context.obj = config, state
    if context.invoked_subcommand:
        return
    with _reading(config, state) as conn:
        found = read(conn)
    if form == "json":
        print(flags_json(found))
    else:
        show_flags(found, Console())


def _decision(verb: Callable[..., Any]) -> Callable[..., Any]:
    """A verb of `flags` that records an operator's decision; --config and --state may stand before it too."""
    reason = click.option("--reason", required=True, metavar="TEXT", help="Why, for whoever looks at it later.")
    return flags.command()(click.argument("flag")(_options(reason(click.pass_obj(verb)))))


@_decision
def clear(
    given: tuple[Path | None, Path | None], flag: str, config: Path | None, state: Path | None, reason: str
) -> None:
    """Not spam: lift the flag; the account is exempt from that rule for 30 days."""
    _decide(given, flag, config, state, "cleared", reason)


@_decision
def confirm(
    given: tuple[Path | None, Path | None], flag: str, config: Path | None, state: Path | None, reason: str
) -> None:
    """It is spam: the flag stands."""
    _decide(given, flag, config, state, "confirmed", reason)


@flags.command()
@_options
@click.pass_obj
def bots(given: tuple[Path | None, Path | None], config: Path | None, state: Path | None) -> None:
    """Accounts that are as busy every week, as programs are: candidates for spam.allowlist."""
    from state.bots import steady_accounts

    settings, _ = _settings(config or given[0], None)
    with _reading(config or given[0], state or given[1]) as conn:
        found = steady_accounts(conn)
    for account in found:
        known = "  on the allowlist" if account.name in settings.spam.allowlist else ""
        print(f"{account.name}  {', '.join(map(str, account.events))} events a week{known}")


def _decide(
    given: tuple[Path | None, Path | None],
    known_as: str,
    config: Path | None,
    state: Path | None,
    verdict: Literal["cleared", "confirmed"],
    reason: str,
) -> None:
    from state.flags import decide

    with _store(config or given[0], state or given[1]) as store, store.writing() as conn:
        flag = decide(conn, store.rules, known_as, verdict, reason, _clock())
    click.echo(f"{flag.id} ({flag.rule} {flag.user or 'of sign-ups'}, {iso(flag.raised_at)}): {verdict}", err=True)


@cli.group()
def cohort() -> None:
    """Cohorts by name: lists of users that people bring, badges, and what the definitions define."""


def _option_form(verb: Callable[..., Any]) -> Callable[..., Any]:
    kinds = click.Choice(("table", "json"))
    return click.option("--format", "form", type=kinds, default="table", show_default=True)(verb)


@cohort.command("add")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@_options
@click.option("--project", help="Where users without a project of their own count; in any unless named.")
@click.option("--notes", default="", help="What it is, for whoever reads the list.")
@click.option("--owner", default="", help="Who answers for it.")
@click.option("--group", default="", help="What it belongs to.")
@click.option("--mediawiki", is_flag=True, help="User names begin with a capital; `en` means enwiki.")
@_option_form
def cohort_add(
    name: str,
    file: Path,
    config: Path | None,
    state: Path | None,
    project: str | None,
    notes: str,
    owner: str,
    group: str,
    mediawiki: bool,
    form: str,
) -> None:
    """Keep the users in FILE, one a line (or user,project), as the cohort NAME: it never changes."""
    from metrics.cohorts import report_object, show_report
    from state.cohorts.definitions_file import read_definitions
    from state.cohorts.kept import add_cohort
    from state.cohorts.upload import LARGEST_UPLOAD

    settings, _ = _settings(config, state)
    with file.open("rb") as lines:
        content = lines.read(LARGEST_UPLOAD + 1)
    with _store(config, state) as store:
        added = add_cohort(
            store,
            name,
            content,
            _clock(),
            project=project,
            notes=notes,
            owner=owner,
            group=group,
            definitions=read_definitions(settings.cohorts.definitions),
            mediawiki=mediawiki,
        )
    if form == "json":
        print(json.dumps(report_object(name, added), indent=2))
    else:
        show_report(name, added, Console())


@cohort.command("list")
@_options
@_option_form
def cohort_list(config: Path | None, state: Path | None, form: str) -> None:
    """What an expression may name, besides week:2024-06-03, month:2024-06 and all."""
    from metrics.cohorts import cohort_objects, show_rows
    from state.cohorts.definitions_file import read_definitions
    from state.cohorts.kept import tags

    settings, _ = _settings(config, state)
    with _reading(config, state) as conn:
        rows = list(cohort_objects(tags(conn), read_definitions(settings.cohorts.definitions)))
    if form == "json":
        print(json.dumps(rows, indent=2))
    else:
        show_rows(rows, Console(), "no cohort yet: `homecoming cohort add NAME FILE` keeps one")


@cohort.command("tags")
@_options
@_option_form
def cohort_tags(config: Path | None, state: Path | None, form: str) -> None:
    """Every kept cohort with its id, those of badges and archived ones too."""
    from metrics.cohorts import show_rows, tag_object
    from state.cohorts.kept import tags

    with _reading(config, state) as conn:
        rows = [tag_object(tag) for tag in tags(conn)]
    if form == "json":
        print(json.dumps(rows, indent=2))
    else:
        show_rows(rows, Console(), "no cohort is kept yet")


@cohort.command("show")
@click.argument("expression", metavar="NAME")
@_options
@_option_form
def cohort_show(expression: str, config: Path | None, state: Path | None, form: str) -> None:
    """Who is in a cohort, by its name or by any expression such as 20~flock&week:2024-06-03."""
    from metrics.cohorts import cohort_object, show_cohort
    from state.cohorts.definitions_file import read_definitions
    from state.cohorts.members import define_members
    from state.duck import connect
    from state.rules import Rules

    settings, directory = _settings(config, state)
    definitions = read_definitions(settings.cohorts.definitions)
    with _reading(config, state) as conn, connect(directory) as duck:
        size = define_members(duck, conn, expression, definitions, Rules())
        members = duck.execute("SELECT username, project FROM member ORDER BY ALL").fetchall()
    if form == "json":
        print(json.dumps(cohort_object(expression, size, members), indent=2))
    else:
        show_cohort(expression, size, members, Console())


@cohort.command("archive")
@click.argument("name")
@_options
def cohort_archive(name: str, config: Path | None, state: Path | None) -> None:
    """Take a kept cohort's name out of use; it answers to its id for ever."""
    from state.cohorts.kept import archive_cohort

    with _store(config, state) as store:
        tag = archive_cohort(store, name, _clock())
    click.echo(f"{tag.name}: archived, and still there as {tag.id}", err=True)


def _programme_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """What every verb on events, campaigns, discussions and funnels takes."""
    defined = click.option(
        "--definitions",
        type=click.Path(path_type=Path),
        help="Events and campaigns (TOML), instead of consumer_config.cohorts.definitions.",
    )
    form = click.option("--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True)
    inexact = click.option("--inexact", is_flag=True, help="Answer although a part of it has expired.")
    return _options(defined(inexact(form(verb))))


def _of_log(config: Path | None, state: Path | None, definitions: Path | None, read: Callable[..., Any]) -> Any:
    """What `read(duck, conn, rules, definitions)` finds in the log, under the state's own rules."""
    from metrics.programmes.activity import rules_of
    from state.cohorts.definitions_file import read_definitions
    from state.log import with_log

    settings, directory = _settings(config, state)
    defined = read_definitions(definitions or settings.cohorts.definitions)
    return with_log(directory, lambda duck, conn: read(duck, conn, rules_of(conn), defined))


def _told(found: Any, form: str, show: Callable[..., None], objects: Callable[..., Any], lines: Any) -> None:
    """Print it as the form wants it; lines: the columns, and the function that makes rows."""
    from metrics.sheet import csv_text

    if form == "table":
        show(found, Console())
    else:
        columns, rows = lines
        print(json.dumps(objects(found)) if form == "json" else csv_text(columns, rows(found)).rstrip("\n"))


@cli.command()
@click.argument("event", metavar="[ID]", required=False)
@_programme_options
@click.option("--find", is_flag=True, help="Also badges that many got within a few days: events that nobody defined.")
def events(
    event: str | None,
    config: Path | None,
    state: Path | None,
    definitions: Path | None,
    inexact: bool,
    form: str,
    find: bool,
) -> None:
    """Who came to events, what they did in the months around them, who came again."""
    from metrics.programmes import formats
    from metrics.programmes.events import events as read
    from metrics.programmes.found import chosen_events
    from metrics.programmes.table import show_events

    found = _of_log(
        config,
        state,
        definitions,
        lambda duck, conn, rules, defined: read(
            duck, conn, rules, defined, chosen_events(conn, defined, event, find=find), exact=not inexact
        ),
    )
    _told(found, form, show_events, formats.events_object, (formats.EVENT_COLUMNS, formats.event_rows))


@cli.command()
@click.argument("campaign", metavar="[ID]", required=False)
@_programme_options
@click.option(
    "--by", type=click.Choice(("campaign", "year", "service", "country")), help="A row each; of one: service."
)
@click.option("--year", help="Only campaigns that began in this year.")
@click.option("--country", help="Only campaigns of this country.")
@click.option("--service", "services", multiple=True, help="Only what was contributed there; again for more.")
def campaigns(
    campaign: str | None,
    config: Path | None,
    state: Path | None,
    definitions: Path | None,
    inexact: bool,  # noqa: ARG001 - whole months are exact for ever
    form: str,
    by: Any,
    year: str | None,
    country: str | None,
    services: tuple[str, ...],
) -> None:
    """Who took part in campaigns, and who still contributes 3, 6, 9 and 12 months after the end."""
    from metrics.programmes import formats
    from metrics.programmes.campaigns import campaigns as read
    from metrics.programmes.campaigns import chosen_campaigns
    from metrics.programmes.table import show_campaigns

    row: Any = by or ("service" if campaign else "campaign")
    found = _of_log(
        config,
        state,
        definitions,
        lambda duck, conn, rules, defined: read(
            duck, conn, rules, defined, chosen_campaigns(defined, campaign, year, country), row, services=services
        ),
    )
    _told(found, form, show_campaigns, formats.campaigns_object, (formats.CAMPAIGN_COLUMNS, formats.campaign_rows))


@cli.command()
@_programme_options
@click.option("--since", metavar="TIME", help="Only what was opened from here on (ISO 8601).")
@click.option("--until", metavar="TIME", help="Only what was opened before.")
@click.option("--by", type=click.Choice(("service", "month")), default="service", show_default=True, help="A row each.")
@click.option("--service", "services", multiple=True, help="Only this service; again for more.")
def discussions(
    config: Path | None,
    state: Path | None,
    definitions: Path | None,
    inexact: bool,
    form: str,
    since: str | None,
    until: str | None,
    by: Any,
    services: tuple[str, ...],
) -> None:
    """How soon and how often what people open is answered, on each service."""
    from metrics.programmes import formats
    from metrics.programmes.discussions import discussions as read
    from metrics.programmes.table import show_discussions
    from metrics.programmes.threads import SERVICES

    start = _moment(since, "--since") if since else None
    end = _moment(until, "--until") if until else None
    found = _of_log(
        config,
        state,
        definitions,
        lambda duck, conn, rules, _defined: read(
            duck, conn, rules, start=start, end=end, services=services or SERVICES, by=by, exact=not inexact
        ),
    )
    _told(
        found, form, show_discussions, formats.discussions_object, (formats.DISCUSSION_COLUMNS, formats.discussion_rows)
    )


@cli.command()
@click.argument("cohort_expression", metavar="COHORT")
@_programme_options
@click.option("--after-hours", type=click.IntRange(0, 876_600), default=24, show_default=True, help="Staying begins.")
@click.option("--within-hours", type=click.IntRange(0, 876_600), default=0, show_default=True, help="0: at any time.")
@click.option(
    "--n", type=click.IntRange(1, 10**9), default=1, show_default=True, help="Contributions that staying takes."
)
def funnel(
    cohort_expression: str,
    config: Path | None,
    state: Path | None,
    definitions: Path | None,
    inexact: bool,
    form: str,
    after_hours: int,
    within_hours: int,
    n: int,
) -> None:
    """How many of a cohort registered, contributed, stayed: month:2024-06, event:ID, any expression."""
    from metrics.programmes import formats
    from metrics.programmes.funnel import funnel as read
    from metrics.programmes.table import show_funnel

    found = _of_log(
        config,
        state,
        definitions,
        lambda duck, conn, rules, defined: read(
            duck,
            conn,
            rules,
            defined,
            cohort_expression,
            t_h=after_hours,
            n=n,
            sunset_h=within_hours,
            exact=not inexact,
        ),
    )
    _told(found, form, show_funnel, formats.funnel_object, (formats.FUNNEL_COLUMNS, formats.funnel_rows))


@cli.command()
@click.argument("metric")
@click.argument("cohort")
@_options
@click.option("--definitions", type=click.Path(path_type=Path), help="Instead of consumer_config.cohorts.definitions.")
@click.option(
    "--option", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the metric; again for more."
)
@click.option("--aggregator", help="One value of the whole cohort; without it a row per user.")
@click.option("--time-series", is_flag=True, help="Slices from start to end, which --option gives.")
@click.option("--slice", "length", help="Hours of a slice, or day, week, month, year.")
@click.option("--user", "is_user", is_flag=True, help="COHORT is a single user's name.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True)
def metric(
    metric: str,
    cohort: str,
    config: Path | None,
    state: Path | None,
    definitions: Path | None,
    given: tuple[str, ...],
    aggregator: str | None,
    time_series: bool,
    length: str | None,
    is_user: bool,
    form: str,
) -> None:
    """A standard metric over a cohort, such as `threshold week:2024-06-03`; docs/metrics.md has them all."""
    from metrics.asking.request import read_request
    from metrics.asking.shape import response
    from metrics.asking.terminal import columns, lines, show_metric
    from metrics.asking.work import work_out
    from metrics.sheet import csv_text
    from state.cohorts.definitions_file import read_definitions

    asked = [tuple(map(str.strip, one.partition("=")[::2])) for one in given]
    for one in given:
        if "=" not in one:
            raise HomecomingError(f"--option: expected NAME=VALUE such as t=48, got {one[:60]!r}")
    more = {"aggregator": aggregator, "slice": length, "time_series": "true" if time_series else None}
    asked += [(name, text) for name, text in more.items() if text is not None]
    asked += [("is_user", "true")] if is_user else []
    request, _ = read_request(cohort, metric, [(name, text) for name, text in asked])
    settings, directory = _settings(config, state)
    defined = read_definitions(definitions or settings.cohorts.definitions)
    found = work_out(directory, defined, request, _clock(), compare=False)
    if form == "table":
        show_metric(found, Console())
    elif form == "csv":
        print(csv_text(columns(found), lines(found)).rstrip("\n"))
    else:
        print(json.dumps(response(found, _clock()), indent=2))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@_options
def track(file: Path, config: Path | None, state: Path | None) -> None:
    """Visits and attempts to edit that a website counted: CSV of sent_at, step (visit, attempt), username if known."""
    from consumer.track import track as run

    with _store(config, state) as store:
        found, dead = run(store, file, _clock())
    click.echo(
        f"{file}: {found.messages} new visits and attempts of {found.rows}"
        + (f", {dead} dead letters" if dead else ""),
        err=True,
    )


@cli.command()
@_options
@click.option("--budget", type=click.FloatRange(0.01, 100), default=0.3, show_default=True, help="False flags a week.")
def calibrate(config: Path | None, state: Path | None, budget: float) -> None:
    """Fit the detectors to the last eight weeks of the state's own history; a new version, kept beside the others."""
    from state.calibrate import calibrate as run

    with _store(config, state) as store:
        before, made = run(store, budget)
    threads, other = (1 / rate for rate in made.ordinary)
    click.echo(
        f"{made.version}: limit {before.limit:g} -> {made.limit:g}, cap {before.cap} -> {made.cap}, "
        f"{sum(made.signups or ()):.0f} sign-ups a week; while people post, a thread comes every {threads:.0f} s "
        f"and other content every {other:.0f} s",
        err=True,
    )
    if not made.since:
        click.echo("the first calibration holds for the past too: `homecoming rebuild` applies it there", err=True)


@cli.command()
@_option_config
@click.option("--seed", "seeds", type=int, multiple=True, help="Simulated communities; 51 to 55 where none is named.")
@click.option("--weeks", type=click.IntRange(10, 1000), default=26, show_default=True, help="Weeks of each.")
@click.option("--events", type=click.Path(path_type=Path), help="An archive instead, as `simulate` writes it.")
@click.option("--truth", type=click.Path(path_type=Path), help="Its truth.csv; truth.json beside it is read too.")
@click.option("--budget", type=click.FloatRange(0.01, 100), default=0.3, show_default=True, help="False flags a week.")
@click.option("--format", "form", type=click.Choice(("table", "json")), default="table", show_default=True)
def evaluate(
    config: Path | None,
    seeds: tuple[int, ...],
    weeks: int,
    events: Path | None,
    truth: Path | None,
    budget: float,
    form: str,
) -> None:
    """What the spam detectors find, beside simpler rules: calibrated on 8 weeks, judged on those after."""
    from consumer.evaluation import files, report, run
    from consumer.evaluation.half_space_trees import half_space_trees_available
    from state.spam.fit import HISTORY_WEEKS

    load_settings(config)  # every verb takes --config and says what is wrong with it
    if (events is None) != (truth is None) or (events and seeds):
        raise HomecomingError("evaluate: name --events and --truth together, or --seed")
    whole = run.Evaluation()
    if events and truth:
        whole.add(run.evaluate(files.read(events, truth, HISTORY_WEEKS, _clock()), events.name, budget))
    else:
        for one in run.of_seeds(seeds or run.SEEDS, weeks, budget):
            click.echo(f"{', '.join(one.histories)} done", err=True)
            whole.add(one)
    if not half_space_trees_available():
        click.echo("without half-space trees: `pip install 'homecoming[evaluate]'` compares with them too", err=True)
    if form == "json":
        print(json.dumps(report.evaluation_json(whole), indent=2))
    else:
        report.show_evaluation(whole, Console())


@cli.command("dead-letters")
@_options
@click.option("--latest", type=click.IntRange(min=1), help="Only so many of the latest.")
@click.option("--format", "form", type=click.Choice(("table", "jsonl")), default="table", show_default=True)
def dead_letters(config: Path | None, state: Path | None, latest: int | None, form: str) -> None:
    """What could not be taken in, and why; as JSON lines, `backfill` reads it again once the reason is mended."""
    from metrics.formats import dead_letter_json
    from state.dead_letters import letters, reasons

    with _reading(config, state) as conn:
        if form == "jsonl":
            for letter in letters(conn, latest):
                print(dead_letter_json(letter))
            return
        for reason, count in reasons(conn).items():
            print(f"{count:8,} {reason}")
        for letter in letters(conn, latest or 20):
            print(f"{iso(letter.received_at)}  {letter.source}  {letter.reason}  {letter.topic}: {letter.detail}")


@cli.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@_options
def verify(files: tuple[Path, ...], config: Path | None, state: Path | None) -> None:
    """Recompute everything in batch, from the log or from the archives named, and compare."""
    from consumer.backfill import verify as run

    with _store(config, state) as store:
        differences = run(store, files, _clock())
    for difference in differences[:_DIFFERENCES_SHOWN]:
        print(difference)
    if len(differences) > _DIFFERENCES_SHOWN:
        print(f"and {len(differences) - _DIFFERENCES_SHOWN:,} more")
    click.echo(f"{len(differences)} differences" if differences else "no difference", err=True)
    raise SystemExit(1 if differences else 0)


@cli.command()
@_options
def rebuild(config: Path | None, state: Path | None) -> None:
    """Derive every view from the log again, under the definitions of --config where it is named."""
    from state.rebuild import rebuild as run

    settings, directory = _settings(config, state)
    run(directory, settings.rules() if config else None).close()


@cli.command()
@_options
def seal(config: Path | None, state: Path | None) -> None:
    """Move weeks that are over into the sealed log. `consume` does this by itself, in a process of its own."""
    from state.bulk import fold_pending
    from state.expiry import expire as run_expire
    from state.screening import screen_pending
    from state.segments import seal as run

    settings, _ = _settings(config, state)
    with _store(config, state) as store:
        fold_pending(store)
        screen_pending(store)
        run(store)
        run_expire(store, settings.state.event_ttl_days)


@cli.command()
@_options
@click.option("--ttl-days", type=click.IntRange(min=135), help="Instead of event_ttl_days of the configuration.")
def expire(config: Path | None, state: Path | None, ttl_days: int | None) -> None:
    """Replace events older than event_ttl_days by day summaries."""
    from state.expiry import expire as run

    settings, _ = _settings(config, state)
    days = ttl_days or settings.state.event_ttl_days
    if not days:
        raise HomecomingError("expire: event_ttl_days is 0, which keeps every event; set it, or name --ttl-days")
    with _store(config, state) as store:
        weeks = run(store, days)
    click.echo(f"{weeks} weeks expired", err=True)


@cli.command()
@_option_config
@_option_listen
@click.option("--directory", type=click.Path(path_type=Path), help="This worker's own files, made where absent.")
@click.option("--state", type=click.Path(path_type=Path), help="A state directory whose calibrations hold.")
def worker(config: Path | None, listen: str | None, directory: Path | None, state: Path | None) -> None:
    """Distributed mode: fold the events of some partitions of Kafka, until SIGTERM; docs/scaling.md."""
    from consumer.worker_run import run

    settings, calibrated = _settings(config, state)
    kept = directory or Path(f"{settings.kafka.prefix}-worker")
    raise SystemExit(run(settings, kept, calibrated, *_listen(settings, listen)))


@cli.command()
@_option_config
@_option_listen
@click.option("--from", "archives", multiple=True, type=click.Path(path_type=Path), help="Archives instead of the bus.")
def bridge(config: Path | None, listen: str | None, archives: tuple[Path, ...]) -> None:
    """Distributed mode: the live bus into Kafka, until SIGTERM; or archives, and then the end."""
    from consumer.bridge_run import load, run

    settings = load_settings(config)
    if archives:
        load(settings, archives, _clock())
    else:
        raise SystemExit(run(settings, config, *_listen(settings, listen), clock=_clock))


@cli.command()
@_options
@_option_listen
def totals(config: Path | None, state: Path | None, listen: str | None) -> None:
    """Distributed mode: what the workers let through into the state, with the page, until SIGTERM."""
    from consumer.totals_run import run

    settings, directory = _settings(config, state)
    raise SystemExit(run(settings, config, directory, *_listen(settings, listen), clock=_clock))


@cli.command("check-config")
@_option_config
def check_config(config: Path | None) -> None:
    """Read the configuration as `consume` would, and say what is wrong with it."""
    from consumer.amqp_config import load, prepare
    from metrics.operator import read_token
    from state.cohorts.definitions_file import read_definitions

    settings = load_settings(config)
    read_token(os.environ, settings.http.token_file)
    read_definitions(settings.cohorts.definitions)
    load(config)
    prepare(settings.live.batch_messages)
    click.echo(f"{config or 'the default configuration'} is good")


@cli.command()
@_option_config
@click.option("--seed", type=int, required=True, help="The same seed gives the same community.")
@click.option("--weeks", type=click.IntRange(1, 1000), required=True, help="Weeks of history.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A directory, made where absent.")
@click.option("--end", default="2024-06-03", show_default=True, help="Where history ends (ISO 8601).")
@click.option("--messages", is_flag=True, help="messages.jsonl too: each message as the bus carries it.")
@click.option("--evaluation", is_flag=True, help="Every attack and benign surge, often enough to judge detectors.")
def simulate(
    config: Path | None, seed: int, weeks: int, output: Path, end: str, messages: bool, evaluation: bool
) -> None:
    """A simulated community: its events and the ground truth about its accounts."""
    from consumer import simulator

    load_settings(config)  # every verb takes --config and says what is wrong with it
    make = simulator.evaluation_scenario if evaluation else simulator.Scenario
    scenario = make(seed=seed, weeks=weeks, end=_moment(end, "--end"))
    simulator.write(simulator.simulate(scenario), output, messages=messages)


def main() -> NoReturn:
    """Run a verb; errors that a person can act on become one line and exit code 2."""
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()
    except HomecomingError as error:
        _fail(str(error))
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        _interrupted()
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # DuckDB's word for Ctrl-C
            raise
        _interrupted()
    except BrokenPipeError:
        # The reader has gone (`| head`); a second complaint at exit would be noise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    sys.exit(0)


def _interrupted() -> NoReturn:
    click.echo("homecoming: interrupted; the same command goes on where it was", err=True)
    sys.exit(130)


def _fail(message: str) -> NoReturn:
    line = " ".join(message.split())
    click.echo(f"homecoming: {line}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()

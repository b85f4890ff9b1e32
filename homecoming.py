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
@click.option("--weeks", type=click.IntRange(1, 1000), default=26, show_default=True, help="Weeks of history.")
def demo(config: Path | None, listen: str | None, seed: int, weeks: int) -> None:
    """A simulated community, live: no broker, no network."""
    from consumer.demo import demo as run

    settings = load_settings(config)
    run(settings, *_listen(settings, listen), seed=seed, weeks=weeks, clock=_clock)


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
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="A file instead of standard output.")
def retention(
    config: Path | None, state: Path | None, population: str, weeks: int | None, form: str, output: Path | None
) -> None:
    """The retention table: who of each week's sign-ups came back, week by week."""
    from metrics.formats import retention_csv, retention_json
    from metrics.table import show_retention
    from state.reading import retention as read

    with _reading(config, state) as conn:
        found = read(conn, population, weeks)
    with _output(output) as file:
        if form == "table":
            show_retention(found, Console(file=file))
        else:
            print(retention_json(found) if form == "json" else retention_csv(found).rstrip("\n"), file=file)


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


@cli.command("check-config")
@_option_config
def check_config(config: Path | None) -> None:
    """Read the configuration as `consume` would, and say what is wrong with it."""
    from consumer.amqp_config import load, prepare
    from metrics.operator import read_token

    settings = load_settings(config)
    read_token(os.environ, settings.http.token_file)
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

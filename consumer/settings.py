"""config.toml as typed settings: what may stand under [consumer_config], its defaults and its bounds."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from state.errors import ConfigError
from state.rules import CONTENT, Rules
from state.spam.posts import Content
from state.weeks import event_time_of

#: What fedora-messaging itself reads; it refuses a file with anything else at the top.
TOP_LEVEL_KEYS = frozenset(
    {
        "amqp_url",
        "bindings",
        "callback",
        "client_properties",
        "consumer_config",
        "exchanges",
        "log_config",
        "monitoring",
        "passive_declares",
        "publish_exchange",
        "publish_priority",
        "qos",
        "queues",
        "tls",
        "topic_prefix",
    }
)

#: An event is needed for so many days: 18 weeks of allowed lateness, sealing and the calendar metrics.
SHORTEST_EVENT_TTL_DAYS = 135


class Listen(NamedTuple):
    """Where the HTTP side listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Kind(NamedTuple):
    """What a key takes: `expected` for people; `read` gives the typed value or raises ValueError."""

    expected: str
    read: Callable[[Any], Any]


def listen_at(text: str) -> Listen:
    """`127.0.0.1:8000` or `[::1]:8000`; ValueError for anything else."""
    parts = urlsplit(f"//{text}")
    if parts.hostname is None or parts.port is None or parts.netloc != text or parts.username is not None:
        raise ValueError(text)
    return Listen(parts.hostname, parts.port)


#: Event times that anybody may mean.
_EARLIEST, _LATEST = event_time_of("1990-01-01"), event_time_of("9998-12-31")


def moment_of(text: str) -> int:
    """The event time of an ISO 8601 text from 1990 on, UTC where it names no zone; ValueError for anything else."""
    at = event_time_of(text)
    return int(_that(_EARLIEST <= at < _LATEST, at))


def span_of(text: str) -> tuple[int, int]:
    """`A..B` as event times, A before B; ValueError for anything else."""
    start, _, end = text.partition("..")
    span = moment_of(start), moment_of(end)
    return _that(span[0] < span[1], span)  # type: ignore[no-any-return]  # it gives back what it was given


def _a(type_: type, value: Any) -> Any:
    # True is an int to Python, not to whoever wrote the file.
    if type(value) is not type_:
        raise ValueError(value)
    return value


def _that(holds: bool, value: Any) -> Any:
    if not holds:
        raise ValueError(value)
    return value


def _brokers(text: str) -> str:
    return ",".join(str(listen_at(one.strip())) for one in text.split(","))


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    return str(_that(parts.scheme in {"http", "https"} and bool(parts.hostname), text)).rstrip("/")


def _from(low: int, high: int | None = None) -> Kind:
    def read(value: Any) -> Any:
        return _that(low <= _a(int, value) and (high is None or value <= high), value)

    return Kind(f"an integer from {low}" + (" on" if high is None else f" to {high}"), read)


def _one_of(*choices: str) -> Kind:
    return Kind(" or ".join(map(json.dumps, choices)), lambda value: _that(_a(str, value) in choices, value))


_FLAG = Kind("true or false", lambda value: _a(bool, value))
_NAMES = Kind(
    "a list of names",
    lambda value: frozenset(_that(_a(str, name) != "", name) for name in _a(list, value)),
)
_SPANS = Kind(
    "a list of spans A..B such as 2024-06-03T09:00..2024-06-03T18:00",
    lambda value: tuple(span_of(_a(str, span)) for span in _a(list, value)),
)
_DIRECTORY = Kind("the path of a directory", lambda value: Path(_that(_a(str, value) != "", value)))
_FILE = Kind("the path of a file, or empty", lambda value: Path(value) if _a(str, value) else None)
_LISTEN = Kind("HOST:PORT", lambda value: listen_at(_a(str, value)))
_BROKERS = Kind("HOST:PORT, or several separated by commas", lambda value: _brokers(_a(str, value)))
_PREFIX = Kind(
    "up to 100 letters, digits, - and _",
    lambda value: _that(re.fullmatch(r"[\w-]{1,100}", _a(str, value), re.ASCII) is not None, value),
)
_URL = Kind("an http(s) URL", lambda value: _http_url(_a(str, value)))
_TTL = Kind(
    f"0 (keep) or an integer from {SHORTEST_EVENT_TTL_DAYS} on",
    lambda value: _that(_a(int, value) == 0 or value >= SHORTEST_EVENT_TTL_DAYS, value),
)


def _key(default: Any, kind: Kind) -> Any:
    """A field whose default is given as it stands in the file."""
    return field(default=kind.read(default), metadata={"kind": kind, "default": default})


@dataclass(frozen=True, slots=True)
class StateSettings:
    """[consumer_config.state]: what is kept, and under which definitions.

    directory: the state directory, relative to the working directory; one community each.
    event_ttl_days: days before the watermark after which events become day summaries; 0 keeps them.
    attribution: "actor" counts who acted; "any" counts every user that a message names.
    engaged_events: an account is engaged from this many events on, its creation included.
    registrations: actions (topics without environment prefix) that create an account.
    queue_kept_s: seconds for which the broker keeps the queue while we are away; a shorter absence is no gap.
    heal_gaps: fill gaps in coverage from datagrepper while consuming.
    seal_every_s: seconds between two looks for weeks to seal.

    After a change of attribution, engaged_events or registrations the views need `homecoming rebuild`.
    """

    directory: Path = _key("homecoming-state", _DIRECTORY)
    event_ttl_days: int = _key(0, _TTL)
    attribution: Literal["actor", "any"] = _key("actor", _one_of("actor", "any"))
    engaged_events: int = _key(2, _from(1))
    registrations: frozenset[str] = _key(["fas.user.create"], _NAMES)
    queue_kept_s: int = _key(0, _from(0))
    heal_gaps: bool = _key(default=False, kind=_FLAG)
    seal_every_s: int = _key(3600, _from(1))


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """[consumer_config.live]: group commit.

    batch_messages: messages in a transaction at most; keep qos.prefetch_count at twice this or more.
    batch_ms: milliseconds that a batch waits for more messages at most.
    """

    batch_messages: int = _key(500, _from(1, 10_000))
    batch_ms: int = _key(50, _from(0, 60_000))


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """[consumer_config.http]: the page, /metrics and the API.

    listen: HOST:PORT; a host other than loopback shows the public routes to the network.
    token_file: file with the operator's token; HOMECOMING_TOKEN wins; with neither, routes that name people
        are off.
    min_cohort: users below which the public routes hide a cohort.
    ready_silence_s: seconds without a message after which /ready says 503.
    """

    listen: Listen = _key("127.0.0.1:8000", _LISTEN)
    token_file: Path | None = _key("", _FILE)
    min_cohort: int = _key(5, _from(1))
    ready_silence_s: int = _key(900, _from(1))


@dataclass(frozen=True, slots=True)
class CatchUpSettings:
    """[consumer_config.catch_up]: how gaps are filled.

    url: datagrepper, without the path of its API.
    requests_per_minute: how often it is asked at most.
    page_rows: messages a page; datagrepper gives 100 at most.
    """

    url: str = _key("https://apps.fedoraproject.org/datagrepper", _URL)
    requests_per_minute: int = _key(30, _from(1, 600))
    page_rows: int = _key(100, _from(1, 100))


@dataclass(frozen=True, slots=True)
class SpamSettings:
    """[consumer_config.spam]: the burst detectors.

    Actions are topics without environment prefix; in them `*` stands for anything.

    allowlist: names of known bots and mass importers, which are never flagged.
    threads: actions that begin something new, issues above all: the heaviest posts.
    passive: actions that are no content post; every other action is one, of less weight than a thread.
    declared_events: spans A..B (ISO 8601, UTC where they name no zone) in which many sign-ups are expected.

    Changes hold for what comes from then on; `homecoming rebuild` applies them to the past too.
    """

    allowlist: frozenset[str] = _key([], _NAMES)
    threads: frozenset[str] = _key(sorted(CONTENT.threads), _NAMES)
    passive: frozenset[str] = _key(sorted(CONTENT.passive), _NAMES)
    declared_events: tuple[tuple[int, int], ...] = _key([], _SPANS)


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """[consumer_config.kafka]: the distributed mode.

    bootstrap: HOST:PORT of brokers, separated by commas.
    prefix: topics and the consumer groups begin with it; one community each.
    partitions: partitions of the topics by user, and so workers at most; fixed once there are topics.
    replicas: copies of each partition.
    retention_hours: hours for which Kafka keeps what was delivered; the log in the state keeps it for good.
    batch_events: events that a worker or the bridge takes together at most.
    batch_ms: milliseconds that these wait for more of them at most.
    """

    bootstrap: str = _key("127.0.0.1:9092", _BROKERS)
    prefix: str = _key("homecoming", _PREFIX)
    partitions: int = _key(8, _from(1, 1_000))
    replicas: int = _key(1, _from(1, 10))
    retention_hours: int = _key(336, _from(1))
    batch_events: int = _key(1_000, _from(1, 10_000))
    batch_ms: int = _key(100, _from(1, 60_000))


@dataclass(frozen=True, slots=True)
class CohortSettings:
    """[consumer_config.cohorts]: what the community calls its events, campaigns and cohorts.

    definitions: path of their TOML file, relative to the working directory; empty where nothing is defined. It is
        read again whenever it has changed.
    """

    definitions: Path | None = _key("", _FILE)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything under [consumer_config]; Settings() are the defaults."""

    state: StateSettings = StateSettings()
    live: LiveSettings = LiveSettings()
    http: HttpSettings = HttpSettings()
    catch_up: CatchUpSettings = CatchUpSettings()
    spam: SpamSettings = SpamSettings()
    cohorts: CohortSettings = CohortSettings()
    kafka: KafkaSettings = KafkaSettings()

    def rules(self) -> Rules:
        """The definitions under which the views are derived."""
        return Rules(
            attribution=self.state.attribution,
            engaged_events=self.state.engaged_events,
            registrations=self.state.registrations,
            content=Content(self.spam.threads, self.spam.passive),
            allowlist=self.spam.allowlist,
        )


#: section name -> its dataclass
SECTIONS: dict[str, type[Any]] = {section.name: type(section.default) for section in fields(Settings)}


def load_settings(path: Path | None) -> Settings:
    """The settings of a fedora-messaging TOML file, the defaults for None; ConfigError where it is wrong.

    Only the names of fedora-messaging's own keys are checked here: it checks their values as it starts.
    """
    if path is None:
        return Settings()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a file with --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8, got another encoding at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: expected TOML, got: {error}") from None
    for name in document:
        if name not in TOP_LEVEL_KEYS:
            at_home = f"; [{name}] belongs under [consumer_config.{name}]" if name in SECTIONS else ""
            raise _unknown(f"{path}: {name}", name, TOP_LEVEL_KEYS, at_home)
    return settings_from(document.get("consumer_config", {}), source=str(path))


def settings_from(consumer_config: Mapping[str, Any], source: str = "configuration") -> Settings:
    """The settings in fedora-messaging's conf["consumer_config"]; ConfigError names `source` and the key."""
    table = _table(source, "consumer_config", consumer_config)
    sections = {}
    for name, content in table.items():
        where = f"consumer_config.{name}"
        if name not in SECTIONS:
            raise _unknown(f"{source}: {where}", name, SECTIONS)
        sections[name] = _section(source, where, SECTIONS[name], _table(source, where, content))
    return Settings(**sections)


def _section(source: str, where: str, section: type[Any], table: Mapping[str, Any]) -> Any:
    kinds: dict[str, Kind] = {key.name: key.metadata["kind"] for key in fields(section)}
    values = {}
    for name, value in table.items():
        path = f"{source}: {where}.{name}"
        if name not in kinds:
            raise _unknown(path, name, kinds)
        try:
            values[name] = kinds[name].read(value)
        except ValueError:
            raise _wrong(path, kinds[name].expected, value) from None
    return section(**values)


def _table(source: str, where: str, content: Any) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise _wrong(f"{source}: {where}", "a table", content)
    return content


def _wrong(path: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"{path}: expected {expected}, got {json.dumps(value, default=str, ensure_ascii=False)}")


def _unknown(path: str, name: str, valid: Mapping[str, Any] | frozenset[str], hint: str = "") -> ConfigError:
    if not hint:
        near = get_close_matches(name, valid, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
    return ConfigError(f"{path}: expected one of {', '.join(sorted(valid))}, got {json.dumps(name)}{hint}")

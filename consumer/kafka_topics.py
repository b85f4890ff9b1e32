"""The topics of a community: their names, made where they are absent, checked before anything is written."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from consumer.backoff import delays
from consumer.settings import KafkaSettings
from state.errors import ConfigError, HomecomingError

logger = logging.getLogger(__name__)

_HOUR_MS = 3_600_000

_T = TypeVar("_T")

#: Waits so many seconds; True where the program is to end meanwhile.
Wait = Callable[[float], bool]


class Topics(NamedTuple):
    """Their names."""

    events: str  #: every event, by user
    accepted: str  #: what the workers let through, in the same partitions
    accounts: str  #: the changelog of the workers' table, by user
    flags: str  #: accounts that burst, by user
    notes: str  #: dead letters and coverage


def worker_group(settings: KafkaSettings) -> str:
    """The consumer group of the workers, which Faust names everything of its own by."""
    return f"{settings.prefix}-worker"


def topics_of(settings: KafkaSettings) -> Topics:
    """The names of the community's topics. Faust names a table's changelog."""
    prefix = settings.prefix
    return Topics(
        f"{prefix}.events",
        f"{prefix}.accepted",
        f"{worker_group(settings)}-accounts-changelog",
        f"{prefix}.flags",
        f"{prefix}.notes",
    )


def prepare_topics(settings: KafkaSettings, wait: Wait) -> None:
    """Make the topics that are absent, with explicit partitions and retention; check those that are there.

    Waits for Kafka with backoff. Raises ConfigError, with nothing made, where a topic has other partitions than
    configured: a user's events would go elsewhere than the table's.
    """
    until_reached(settings, wait, lambda admin: _prepare(admin, settings))


def until_reached(settings: KafkaSettings, wait: Wait, act: Callable[[Any], _T]) -> _T:
    """What `act` makes of an admin client, as soon as Kafka can be reached."""
    from kafka.admin import KafkaAdminClient  # noqa: PLC0415 - an extra
    from kafka.errors import (  # noqa: PLC0415
        BrokerResponseError,
        KafkaError,
        RetriableError,
        TopicAlreadyExistsError,
    )

    for delay in delays():
        try:
            admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap.split(","), bootstrap_timeout_ms=5_000)
            try:
                return act(admin)
            finally:
                admin.close()
        except TopicAlreadyExistsError:
            continue  # somebody else made it just now: it is checked like any other
        except BrokerResponseError as refused:
            if not isinstance(refused, RetriableError):
                raise HomecomingError(f"Kafka at {settings.bootstrap} refuses: {refused}") from None
            problem: Exception = refused
        except (KafkaError, OSError) as unreachable:
            problem = unreachable
        logger.warning(
            "Kafka at %s cannot be reached (%s); trying again in %d s", settings.bootstrap, _said(problem), delay
        )
        if wait(delay):
            raise HomecomingError(f"Kafka at {settings.bootstrap} was not reached before the end")
    raise AssertionError  # delays() has no end


def _said(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


def _prepare(admin: Any, settings: KafkaSettings) -> None:
    wanted = _wanted(settings)
    found = partitions_of(admin, wanted)
    check_partitions(found, wanted)
    missing = {
        name: {"num_partitions": partitions, "replication_factor": settings.replicas, "configs": config}
        for name, (partitions, config) in wanted.items()
        if name not in found
    }
    if missing:
        admin.create_topics(missing, wait_for_metadata=True)


def check_partitions(found: Mapping[str, int], wanted: Mapping[str, tuple[int, Any]]) -> None:
    """ConfigError where a topic is there with another number of partitions than it must have."""
    for name, partitions in found.items():
        if partitions != wanted[name][0]:
            raise ConfigError(
                f"topic {name} has {partitions} partitions, consumer_config.kafka.partitions is {wanted[name][0]}: "
                "set it to what the topics have, or name another prefix and load history by `homecoming bridge --from`"
            )


def partitions_of(admin: Any, names: Iterable[str]) -> dict[str, int]:
    """Topic -> partitions, of those that are there."""
    there = set(admin.list_topics()) & set(names)
    if not there:
        return {}
    described = admin.describe_topics(sorted(there))
    return {one["name"]: len(one["partitions"]) for one in described}


def _wanted(settings: KafkaSettings) -> dict[str, tuple[int, Mapping[str, str]]]:
    """Topic -> (partitions, configuration)."""
    topics, many = topics_of(settings), settings.partitions
    kept = {"cleanup.policy": "delete", "retention.ms": str(settings.retention_hours * _HOUR_MS)}
    latest = {"cleanup.policy": "compact"}
    return {
        topics.events: (many, kept),
        topics.accepted: (many, kept),
        topics.accounts: (many, latest),
        topics.flags: (many, kept),
        topics.notes: (1, kept),
    }

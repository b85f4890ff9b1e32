"""fedora-messaging's own configuration, checked before anything connects."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from fedora_messaging.config import conf
from fedora_messaging.exceptions import ConfigurationException
from pika import URLParameters

from state.errors import ConfigError

#: It is 16 bits wide in AMQP.
MOST_PREFETCHED = 65_535


def load(path: Path | None) -> None:
    """Load fedora-messaging's configuration from the file, its defaults for None; ConfigError where it is wrong."""
    try:
        conf.load_config(str(path) if path else os.devnull)
    except ConfigurationException as error:
        raise ConfigError(f"{path}: {error.message}") from error
    try:
        conf.setup_logging()
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: log_config: {error}: {error.__cause__ or 'see logging.config'}") from error


def prepare(batch_messages: int) -> URLParameters:
    """Load fedora-messaging's configuration where nobody has yet, and check what it does not.

    Prefetch is raised to two batches: one is on its way while the other is committed. Returns the parsed
    amqp_url. Raises ConfigError.
    """
    try:
        # Whatever is set before the first load is overwritten by it.
        if not conf.loaded:
            conf.load_config()
    except ConfigurationException as error:
        raise ConfigError(error.message) from error
    prefetch = conf["qos"].get("prefetch_count", 0)
    if not isinstance(prefetch, int) or not 0 <= prefetch <= MOST_PREFETCHED:
        raise ConfigError(f"qos.prefetch_count: expected an integer from 0 to {MOST_PREFETCHED}, got {prefetch!r}")
    conf["qos"] = {"prefetch_size": 0, **conf["qos"], "prefetch_count": max(prefetch, 2 * batch_messages)}
    _check_bindings()
    try:
        parameters = URLParameters(conf["amqp_url"])
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"amqp_url: expected amqp[s]://USER:PASSWORD@HOST:PORT/VHOST, got: {error}") from error
    if conf["amqp_url"].startswith("amqps"):
        check_certificates(conf["tls"])
    return parameters


def queue_survives() -> bool:
    """Whether every queue stays while we are away: named, and neither exclusive nor deleted with its consumer."""
    return all(
        name and not options.get("auto_delete") and not options.get("exclusive")
        for name, options in conf["queues"].items()
    )


def check_certificates(tls: dict[str, Any]) -> None:
    """ConfigError where a file of [tls] is absent, unreadable or no longer valid."""
    for key in ("ca_cert", "certfile", "keyfile"):
        if not tls.get(key):
            continue
        path = Path(tls[key])
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"tls.{key}: {path} cannot be read ({error.strerror}); "
                "`make fedora-certs` fetches those of Fedora's public bus"
            ) from error
        if key != "keyfile":
            _check_validity(key, path, content)


def _check_validity(key: str, path: Path, content: bytes) -> None:
    try:
        until = max(loaded.not_valid_after_utc for loaded in x509.load_pem_x509_certificates(content))
    except ValueError as error:
        raise ConfigError(f"tls.{key}: {path} holds no certificate in PEM form ({error})") from error
    if until <= datetime.now(UTC):
        raise ConfigError(
            f"tls.{key}: {path} expired on {until:%Y-%m-%d}; "
            "`make fedora-certs` fetches a newer one for Fedora's public bus"
        )


def _check_bindings() -> None:
    """A binding for a queue that is not consumed is silently ignored by fedora-messaging."""
    names = set(conf["queues"])
    for place, binding in enumerate(conf["bindings"]):
        queue = binding.get("queue", "")
        if queue not in names:
            listed = ", ".join(repr(name) for name in sorted(names))
            raise ConfigError(f"bindings[{place}].queue: expected one of the [queues] ({listed}), got {queue!r}")

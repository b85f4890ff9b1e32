"""A Prometheus of the tests' own: deploy/'s configuration and rules, with less patience."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.rabbitmq import free_port
from tests.support.server import Server, program, replaced, running

_DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = _DEPLOY / "prometheus" / "rules" / "homecoming.rules.yml"

#: The rules' quarter of an hour becomes 15 seconds, as the scrape interval of 15 seconds becomes one.
QUICKER = 60

_MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000}


def quicker(rules: str, times: int = QUICKER) -> str:
    """Rules whose waits (for, keep_firing_for), windows ([15m]) and young processes are so many times shorter.

    Thresholds on what the service says of itself (lag, age of a calibration) stay as they are.
    """

    def shorter(found: re.Match[str]) -> str:
        before, amount, unit = found.groups()
        return f"{before}{int(amount) * _MILLISECONDS[unit] // times}ms"

    rules = re.sub(r"(for: |\[)(\d+)([smh])\b", shorter, rules)
    return re.sub(r"(process_start_time_seconds < )(\d+)", lambda found: f"{found[1]}{int(found[2]) / times:g}", rules)


@contextmanager
def prometheus(folder: Path, target: str, alertmanager: str) -> Iterator[Server]:
    """Scrape the target (host:port) each second, evaluate the quicker rules each second, tell that Alertmanager."""
    folder.mkdir()
    (folder / "rules.yml").write_text(quicker(RULES.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "prometheus.yml").write_text(
        replaced(
            (_DEPLOY / "prometheus.yml").read_text(encoding="utf-8"),
            {
                "interval: 15s": "interval: 1s",
                "prometheus/rules/*.yml": "rules.yml",
                "homecoming:8000": target,
                "alertmanager:9093": alertmanager,
            },
        ),
        encoding="utf-8",
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("prometheus", package="prometheus"),
        "--config.file=prometheus.yml",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with running(command, f"http://{address}", folder) as server:
        yield server


def value(server: Server, query: str) -> float | None:
    """The value of a query that gives one number or none."""
    result = server.get("/api/v1/query", query=query)["data"]["result"]
    assert len(result) < 2, result
    return float(result[0]["value"][1]) if result else None


def has_scraped(server: Server) -> bool:
    """Whether the target has answered once."""
    return bool(value(server, "max(up)"))

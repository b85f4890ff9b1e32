"""An Alertmanager of the tests' own: deploy/'s configuration with less patience, and somebody to tell."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from tests.integration.rabbitmq import free_port
from tests.support.server import Server, program, replaced, running

CONFIG = Path(__file__).parents[2] / "deploy" / "alertmanager.yml"

#: As many times as Prometheus scrapes more often: it must hear of two alerts before it speaks of one.
QUICKER = 15


class Told(NamedTuple):
    """One alert of a notification."""

    status: str  #: "firing" or "resolved"
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Pager:
    """Who is on call: keeps what it was told, in order, and every word of it."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.words = ""
        self.url = ""

    def heard(self, name: str, status: str = "firing") -> bool:
        return any((told.name, told.status) == (name, status) for told in self.told)


@contextmanager
def paged() -> Iterator[Pager]:
    """A webhook on a free loopback port."""
    pager = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            pager.words += body
            pager.told += [Told(alert["status"], alert["labels"]) for alert in json.loads(body)["alerts"]]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    pager.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield pager
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def alertmanager(folder: Path, pager: Pager) -> Iterator[Server]:
    """Notify the pager, as the receiver `page`."""
    folder.mkdir()
    config = re.sub(
        r"(group_(?:wait|interval)): (\d+)([sm])",
        lambda found: f"{found[1]}: {int(found[2]) * {'s': 1_000, 'm': 60_000}[found[3]] // QUICKER}ms",
        CONFIG.read_text(encoding="utf-8"),
    )
    webhook = f"  - name: page\n    webhook_configs: [{{url: '{pager.url}', send_resolved: true}}]\n"
    (folder / "alertmanager.yml").write_text(replaced(config, {"  - name: page\n": webhook}), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("alertmanager", "prometheus-alertmanager", package="prometheus-alertmanager"),
        "--config.file=alertmanager.yml",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running(command, f"http://{address}", folder) as server:
        yield server


def silenced(server: Server) -> set[str]:
    """Names of the alerts that another one inhibits."""
    alerts = server.get("/api/v2/alerts")
    return {alert["labels"]["alertname"] for alert in alerts if alert["status"]["inhibitedBy"]}

"""A server of the tests' own on a free loopback port, ended with the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.program import PATIENCE_S
from tests.support.waiting import until


def program(*names: str, package: str) -> str:
    """The first of these that is installed; skips the test where none is."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no {names[0]} on this machine: install {package}")
    return found


class Server:
    """A running program with an HTTP side at `url`. Answers are JSON."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = url
        self.process = process
        self._log = log
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **parameters: str) -> Any:
        answer = self._session.get(self.url + path, params=parameters, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, content: object) -> None:
        self._session.post(self.url + path, json=content, timeout=PATIENCE_S).raise_for_status()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return self._session.get(f"{self.url}/-/ready", timeout=PATIENCE_S).ok
        except requests.ConnectionError:
            return False

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def stop(self) -> None:
        self._session.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(command: Sequence[str], url: str, folder: Path) -> Iterator[Server]:
    """Run the command until the end of the block, once it has said that it is ready."""
    log = folder / "output"
    with log.open("wb") as output:
        # A proxy of the environment knows no loopback.
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env={**os.environ, "NO_PROXY": "127.0.0.1"}
        )
    server = Server(url, process, log)
    try:
        until(server.is_ready, server.said)
        yield server
    finally:
        server.stop()


def replaced(text: str, changes: dict[str, str]) -> str:
    """The text with each key, all of which it must contain, replaced by its value."""
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in\n{text}"
        text = text.replace(old, new)
    return text

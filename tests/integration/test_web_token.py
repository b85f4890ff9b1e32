"""The operator's token: where it comes from, what is refused at start, and who is let in."""

import logging
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import Request

from consumer.service import http_side
from consumer.settings import HttpSettings, Settings
from metrics.operator import admit, read_token
from metrics.readiness import readable
from state.errors import ConfigError
from state.store import open_store
from tests.support.program import PATIENCE_S, refused, run

TOKEN = "a-token-of-the-tests-0123456789"


@pytest.mark.parametrize("by_file", [False, True])
def test_the_service_takes_the_token_that_is_configured(
    by_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "state"
    open_store(directory).close()
    file = tmp_path / "token"
    file.write_text(f"{TOKEN if by_file else 'another-token-of-the-tests'}\n", encoding="utf-8")
    file.chmod(0o600)
    if by_file:
        monkeypatch.delenv("HOMECOMING_TOKEN", raising=False)
    else:
        monkeypatch.setenv("HOMECOMING_TOKEN", TOKEN)
    settings = Settings(http=HttpSettings(token_file=file))
    with (
        http_side(settings, directory, CollectorRegistry(), readable(directory), "127.0.0.1", 0) as address,
        requests.Session() as session,
    ):
        session.trust_env = False
        answers = {
            token: session.get(
                f"http://{address}/api/flags", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S
            ).status_code
            for token in (TOKEN, "another-token-of-the-tests")
        }
    assert answers == {TOKEN: 200, "another-token-of-the-tests": 401}


@pytest.mark.parametrize("verb", ["serve", "consume", "demo"])
@pytest.mark.parametrize("weak", ["", "short-secret"])
def test_a_weak_token_is_refused_at_start(verb: str, weak: str, tmp_path: Path) -> None:
    state = () if verb == "demo" else ("--state", str(tmp_path / "state"))
    said = refused(run(verb, *state, "--listen", "127.0.0.1:0", env={"HOMECOMING_TOKEN": weak}))
    assert "HOMECOMING_TOKEN" in said
    assert "openssl rand -hex 32" in said
    assert "short-secret" not in said


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"fifteen-letters", b"two tokens, one file", "schlüssel-des-tests".encode()]
)
def test_a_file_without_a_token_is_told(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"token_file: .*openssl rand -hex 32"):
        read_token({}, file)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigError, match=f"^consumer_config.http.token_file: {path} cannot be read"):
            read_token({}, path)


def test_a_file_that_others_can_read_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN, encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        file.chmod(0o640)
        assert read_token({}, file) == TOKEN
        assert caplog.messages == []
        file.chmod(0o644)
        assert read_token({}, file) == TOKEN
    (message,) = caplog.messages
    assert "chmod o-r" in message
    assert TOKEN not in message


def test_no_token_is_no_token() -> None:
    assert read_token({}, None) is None


@given(st.binary() | st.sampled_from((TOKEN.encode(), TOKEN.encode()[:-1], TOKEN.encode() + b"0")))
def test_only_the_token_itself_is_let_in(shown: bytes) -> None:
    request = Request({"type": "http", "headers": [(b"authorization", b"Bearer " + shown)]})
    if shown == TOKEN.encode():
        admit(request, TOKEN)
    else:
        with pytest.raises(HTTPException) as caught:
            admit(request, TOKEN)
        assert caught.value.status_code == 401

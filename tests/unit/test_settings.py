import inspect
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.settings import (
    SECTIONS,
    TOP_LEVEL_KEYS,
    Listen,
    Settings,
    listen_at,
    load_settings,
    settings_from,
)
from state.errors import ConfigError
from state.rules import Rules

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config.toml"
DEFAULTS = {name: {f.name: f.metadata["default"] for f in fields(cls)} for name, cls in SECTIONS.items()}
KEYS = [(section, key) for section, keys in DEFAULTS.items() for key in keys]


SHIPPED = [CONFIG, *sorted((ROOT / "deploy").glob("homecoming*.toml"))]


def shipped() -> dict[str, Any]:
    return tomllib.loads(CONFIG.read_text(encoding="utf-8"))


def test_the_shipped_file_has_every_key_with_its_default() -> None:
    assert shipped()["consumer_config"] == DEFAULTS
    assert load_settings(CONFIG) == Settings() == load_settings(None)


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_is_documented_in_its_dataclass(section: str, key: str) -> None:
    assert f"\n{key}: " in (inspect.getdoc(SECTIONS[section]) or "")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_documented_key_exists(section: str) -> None:
    lines = (SECTIONS[section].__doc__ or "").splitlines()[1:]
    documented = [word.strip() for line in lines for word, colon, _ in [line.partition(": ")] if colon]
    assert documented == list(DEFAULTS[section])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_prefetches_two_batches(path: Path) -> None:
    prefetched = tomllib.loads(path.read_text(encoding="utf-8"))["qos"]["prefetch_count"]
    assert prefetched >= 2 * load_settings(path).live.batch_messages


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_file_logs_to_standard_error_only(path: Path) -> None:
    handlers = tomllib.loads(path.read_text(encoding="utf-8"))["log_config"]["handlers"].values()
    assert {handler["stream"] for handler in handlers} == {"ext://sys.stderr"}


def test_top_level_keys_are_those_of_the_library() -> None:
    from fedora_messaging.config import DEFAULTS as LIBRARY

    assert frozenset(LIBRARY) == TOP_LEVEL_KEYS


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_library_accepts_a_shipped_file(path: Path, tmp_path: Path) -> None:
    # In a process of its own, for the library keeps a global; with certificates, for it wants them to exist.
    (tmp_path / "certs").mkdir()
    for name in ("cacert", "fedora-cert", "fedora-key"):
        (tmp_path / "certs" / f"{name}.pem").touch()
    code = f"from fedora_messaging.config import conf; conf.load_config({str(path)!r}); conf.setup_logging()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, check=True)


def test_loading_settings_does_not_load_twisted() -> None:
    code = "import sys, consumer.settings; sys.exit(bool({'twisted', 'pika'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("state", "directory", "", "the path of a directory"),
        ("state", "event_ttl_days", 134, "0 (keep) or an integer from 135 on"),
        ("state", "event_ttl_days", -1, "0 (keep) or an integer from 135 on"),
        ("state", "attribution", "all", '"actor" or "any"'),
        ("state", "engaged_events", 0, "an integer from 1 on"),
        ("state", "engaged_events", True, "an integer from 1 on"),
        ("state", "registrations", "fas.user.create", "a list of names"),
        ("state", "registrations", [""], "a list of names"),
        ("state", "heal_gaps", 1, "true or false"),
        ("state", "seal_every_s", 0, "an integer from 1 on"),
        ("live", "batch_messages", 0, "an integer from 1 to 10000"),
        ("live", "batch_messages", 10_001, "an integer from 1 to 10000"),
        ("live", "batch_ms", "fast", "an integer from 0 to 60000"),
        ("live", "batch_ms", 50.0, "an integer from 0 to 60000"),
        ("http", "listen", "8000", "HOST:PORT"),
        ("http", "listen", "localhost:99999", "HOST:PORT"),
        ("http", "listen", "localhost:8000/path", "HOST:PORT"),
        ("http", "min_cohort", 0, "an integer from 1 on"),
        ("catch_up", "url", "apps.example.org", "an http(s) URL"),
        ("catch_up", "page_rows", 101, "an integer from 1 to 100"),
        ("spam", "allowlist", [1], "a list of names"),
    ],
)
def test_a_wrong_value_is_refused_with_path_expected_and_got(
    section: str, key: str, value: object, expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        settings_from({section: {key: value}}, source="x.toml")
    assert str(error.value).startswith(f"x.toml: consumer_config.{section}.{key}: expected {expected}, got ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(key=st.sampled_from(KEYS), value=json_values)
def test_any_value_is_taken_or_refused_in_one_line(key: tuple[str, str], value: object) -> None:
    section, name = key
    try:
        settings = settings_from({section: {name: value}})
    except ConfigError as error:
        refusal = str(error)
        assert f"consumer_config.{section}.{name}: expected " in refusal
        assert "\n" not in refusal
    else:
        hash(settings)


def test_a_typo_gets_the_nearest_key() -> None:
    with pytest.raises(ConfigError, match=r"consumer_config\.live\.batch_mss: .*did you mean batch_ms\?"):
        settings_from({"live": {"batch_mss": 5}})


def test_an_unknown_section_gets_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"one of catch_up, cohorts, http, kafka, live, spam, state, got .sapm."):
        settings_from({"sapm": {}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("amqp_urll = 'x'", "amqp_urll: .*did you mean amqp_url"),
        ("[state]\ndirectory = 'x'", r"belongs under \[consumer_config.state\]"),
        ("[consumer_config]\nlive = 5", "consumer_config.live: expected a table, got 5"),
        ("consumer_config = 5", "consumer_config: expected a table, got 5"),
        ("[live]\nx = y\n", "expected TOML, .*line 2"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^{path}: .*{says}"):
        load_settings(path)


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "latin1.toml").write_bytes("# é".encode("latin-1"))
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "latin1.toml"):
        with pytest.raises(ConfigError, match=f"^{path}: "):
            load_settings(path)


@given(port=st.integers(0, 65535), host=st.sampled_from(["127.0.0.1", "::1", "0.0.0.0", "example.org"]))  # noqa: S104
def test_listen_reads_what_it_prints(host: str, port: int) -> None:
    assert listen_at(str(Listen(host, port))) == (host, port)


def test_rules_are_the_definitions_in_the_file() -> None:
    settings = settings_from({"state": {"attribution": "any", "engaged_events": 3, "registrations": ["a.new"]}})
    assert settings.rules() == Rules("any", 3, frozenset({"a.new"}))
    assert Settings().rules() == Rules()

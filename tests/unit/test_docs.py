"""What people may type, set or graph stands in the documentation, and what stands there exists."""

import json
import re
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest

import homecoming
from consumer.service import registry_of
from consumer.settings import SECTIONS, Settings
from metrics.hotpath import HotPath
from metrics.worker import WorkerSeries
from state.calibrations import write_calibration
from state.spam.calibration import Calibration
from state.store import open_store, raise_watermark

ROOT = Path(__file__).parents[2]

#: The changelog is left out: it tells of what is gone too.
TEXT = "\n".join(
    page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
)

#: `section.key` -> its default as the file has it
DEFAULTS = {
    f"{section}.{key.name}": key.metadata["default"] for section, kind in SECTIONS.items() for key in fields(kind)
}

#: First column of a table's row -> the second.
ROWS = dict(re.findall(r"^\| *(`[^|]+?) *\| *(.*?) *\|", TEXT, flags=re.MULTILINE))

#: The state directory is no series.
_NO_SERIES = {"homecoming_state"}


def families() -> dict[str, str]:
    """Every family of ours and its type, as a process over a state that has seen something exports them."""
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        with store.writing() as conn:
            raise_watermark(conn, 0)
        store.close()
        write_calibration(Path(folder), Calibration(version="2026w47", made_at=1, signups=(1.0,) * 168))
        registry = registry_of(Path(folder), Settings())
        HotPath(registry, lambda: 0, fallbacks=lambda: 0)
        WorkerSeries(registry)
        return {family.name: family.type for family in registry.collect() if family.name.startswith("homecoming_")}


FAMILIES = families()

#: The names by which people query the families.
SERIES = {f"{name}_total" if kind == "counter" else name for name, kind in FAMILIES.items()}


@pytest.mark.parametrize("verb", sorted(homecoming.cli.commands))
def test_every_verb_is_documented(verb: str) -> None:
    assert re.search(rf"(homecoming |^\| `){verb}[` ]", TEXT, flags=re.MULTILINE), f"homecoming {verb}"


@pytest.mark.parametrize("verb", sorted(homecoming.cli.commands))
def test_every_option_explains_itself(verb: str) -> None:
    command = homecoming.cli.commands[verb]
    assert command.help
    unexplained = {option.name for option in command.params if isinstance(option, click.Option) and not option.help}
    assert unexplained <= {"form"}, "only --format, which lists its values, needs no word"


def test_every_verb_of_the_documentation_exists() -> None:
    typed = set(re.findall(r"(?:^ *|`|bin/|\$ |&& )homecoming ([a-z][a-z-]+)", TEXT, flags=re.MULTILINE))
    assert "backfill" in typed, "the pattern finds something"
    assert typed <= set(homecoming.cli.commands)


@pytest.mark.parametrize("path", DEFAULTS)
def test_every_setting_is_documented(path: str) -> None:
    assert f"`{path}`" in TEXT


@pytest.mark.parametrize("path", DEFAULTS)
def test_documented_defaults_are_those_of_the_program(path: str) -> None:
    if (written := ROWS.get(f"`{path}`")) is not None:
        default = DEFAULTS[path]
        assert written.strip("`") == (default if isinstance(default, str) else json.dumps(default))


def test_every_setting_of_the_documentation_exists() -> None:
    written = re.findall(rf"`((?:{'|'.join(SECTIONS)})\.[a-z_]+)`", TEXT)
    assert set(written) <= set(DEFAULTS)


@pytest.mark.parametrize("name", sorted(SERIES))
def test_every_series_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT), name


def test_every_series_of_the_documentation_exists() -> None:
    histograms = [name for name, kind in FAMILIES.items() if kind == "histogram"]
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    written = set(re.findall(r"\bhomecoming_[a-z_]*[a-z]\b", TEXT)) - _NO_SERIES
    assert written <= SERIES | parts

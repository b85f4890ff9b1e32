"""docs/metrics.md says what the registry says, and its worked examples come out as they stand there."""

import re
import shlex
from pathlib import Path

import pytest

from metrics.asking.page import parts, refreshed
from metrics.standard.registry import METRICS
from tests.support.program import call, good

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
TEXT = PAGE.read_text(encoding="utf-8")

#: Commands of the page, each with the lines below it.
EXAMPLES = [
    (command, output.replace("\n    ", "\n").strip())
    for command, output in re.findall(r"^    \$ (homecoming metric .*)\n((?:    .+\n)+)", TEXT, flags=re.MULTILINE)
]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page's own archive makes."""
    folder = tmp_path_factory.mktemp("page")
    found = re.search(r"^    sent_at,.*\n(?:    .+\n)+", TEXT, flags=re.MULTILINE)
    assert found, "the page has no archive"
    (folder / "log.csv").write_text(found[0].replace("    ", ""), encoding="utf-8")
    good(call("backfill", folder / "log.csv", "--state", folder / "state"))
    return folder / "state"


def test_the_generated_parts_are_those_of_the_registry() -> None:
    assert refreshed(TEXT) == TEXT, "run: python -m metrics.asking.page docs/metrics.md"
    marked = re.findall(r"<!-- generated: (\w+) -->", TEXT)
    assert sorted(marked) == sorted(parts())


def test_every_metric_has_a_worked_example() -> None:
    assert {shlex.split(command)[2] for command, _ in EXAMPLES} == set(METRICS)


@pytest.mark.parametrize(("command", "output"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_the_example_comes_out_as_the_page_has_it(state: Path, command: str, output: str) -> None:
    words = [str(state) if word == "DIR" else word for word in shlex.split(command)[1:]]
    said = call(*words)
    assert said.code == 0, said.err
    assert said.out.strip() == output

"""`homecoming retention --format html|png|svg` and `homecoming report`, as people call them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from metrics.report import PAGE
from tests.support.program import PATIENCE_S, PROGRAM, call, good, refused, run
from tests.support.programmes import Community, community

NAMES = {
    "retention",
    "retention-clean",
    "curves",
    "composition",
    "before-after",
    "months",
    "returned",
    "campaigns-by-campaign",
    "campaigns-by-service",
    "discussions",
    "funnel",
}

SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Python as it is where the extra was not installed.
_WITHOUT = """
import sys
sys.modules["matplotlib"] = None
import homecoming
homecoming.main()
"""


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Community:
    return community(tmp_path_factory.getbasetemp())


@pytest.fixture
def definitions(simulated: Community, tmp_path: Path) -> Path:
    path = tmp_path / "definitions.toml"
    path.write_text(simulated.toml, encoding="utf-8")
    return path


def test_a_report_is_one_page_and_a_png_a_picture(simulated: Community, definitions: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "report"
    found = good(
        call("report", "--state", simulated.directory, "--definitions", definitions, "--output", out, "--weeks", "8")
    )
    assert set(found.out.split()) == {str(path) for path in out.iterdir()}
    assert {path.stem for path in out.glob("*.png")} == NAMES
    assert all(path.read_bytes().startswith(SIGNATURE) for path in out.glob("*.png"))
    html = (out / PAGE).read_text(encoding="utf-8")
    assert html.count("<img ") == html.count('src="data:image/svg+xml;base64,') == len(NAMES)
    assert all(f'id="{name}"' in html for name in NAMES)


def test_a_report_for_everybody_leaves_small_groups_out(
    simulated: Community, definitions: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[consumer_config.http]\nmin_cohort = 100000\n")
    arguments = ("--state", simulated.directory, "--definitions", definitions, "--weeks", "4", "--public")
    good(call("report", *arguments, "--config", config, "--output", tmp_path / "out"))
    hidden = (tmp_path / "out" / "composition.png").read_bytes()
    good(call("report", *arguments, "--output", tmp_path / "out"))
    assert hidden != (tmp_path / "out" / "composition.png").read_bytes()


def test_a_report_of_an_empty_state(tmp_path: Path) -> None:
    good(call("report", "--state", tmp_path / "state", "--output", tmp_path / "out"))
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == NAMES


def test_pictures_of_the_retention_table(simulated: Community, tmp_path: Path) -> None:
    table = ("retention", "--state", simulated.directory, "--weeks", "4")
    cohorts = json.loads(good(call(*table, "--format", "json")).out)["cohorts"]
    png, svg = tmp_path / "r.png", tmp_path / "r.svg"
    assert good(call(*table, "--format", "png", "--output", png)).out == ""
    assert png.read_bytes().startswith(SIGNATURE)
    good(call(*table, "--format", "svg", "--output", svg))
    drawn = " ".join(ET.parse(svg).getroot().itertext())  # noqa: S314 - our own
    html = good(call(*table, "--format", "html")).out
    for cohort in cohorts:
        assert cohort["week"] in drawn
        assert cohort["week"] in html
        for cell in cohort["cells"]:
            if cell["users"] is not None:
                assert f"{cell['users']}/{cohort['size']}" in drawn
                assert f"{cell['users']}/{cohort['size']}" in html
    assert "://" not in html


def test_a_pipe_takes_a_png(simulated: Community, tmp_path: Path) -> None:
    command = [*PROGRAM, "retention", "--state", str(simulated.directory), "--weeks", "2", "--format", "png"]
    found = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=True)
    good(call(*command[len(PROGRAM) :], "--output", tmp_path / "r.png"))
    assert found.stdout == (tmp_path / "r.png").read_bytes()


def test_a_terminal_does_not(tmp_path: Path) -> None:
    leader, follower = os.openpty()
    command = [*PROGRAM, "retention", "--state", str(tmp_path / "state"), "--format", "png"]
    found = subprocess.run(command, stdout=follower, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
    os.close(follower)
    os.close(leader)
    assert found.returncode == 2
    assert found.stderr == "homecoming: retention: a PNG is nothing for a terminal; name a file with --output FILE\n"


@pytest.mark.parametrize(
    "arguments",
    [("retention", "--format", "png"), ("retention", "--format", "svg"), ("report",)],
    ids=["png", "svg", "report"],
)
def test_without_the_extra_one_line_says_what_to_install(arguments: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT, *arguments]
    found = subprocess.run(
        [*command, "--state", str(tmp_path / "state"), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.endswith("needs matplotlib: pip install 'homecoming[report]'\n")
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_html_needs_no_extra(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _WITHOUT, "retention", "--format", "html", "--state", str(tmp_path / "state")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "No cohort yet" in found.stdout


def test_where_it_cannot_write_it_says_so(simulated: Community, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    state = ("--state", simulated.directory)
    for arguments in (
        ("retention", "--format", "svg", "--weeks", "2", "--output", tmp_path / "none" / "r.svg"),
        ("report", "--weeks", "2", "--output", tmp_path / "file"),
    ):
        assert str(tmp_path) in refused(call(*arguments, *state))


def test_an_unknown_cohort_is_refused(simulated: Community, tmp_path: Path) -> None:
    said = refused(call("report", "--state", simulated.directory, "--output", tmp_path, "--cohort", "no-such"))
    assert "no-such" in said
    assert not list(tmp_path.glob("*.png"))
    assert run("report", "--help").code == 0

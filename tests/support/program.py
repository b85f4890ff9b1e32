"""The command line as people call it: in this process where only its words count, in its own where it is killed."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import homecoming

PROGRAM = (sys.executable, "-m", "homecoming")

#: Enough for any command here on a machine that stalls; a hang is an error, slowness is not.
PATIENCE_S = 120


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def call(*arguments: str | Path) -> Said:
    """Run the program in this process; whatever it does not turn into one line itself fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["homecoming", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        code: Any = 0
        try:
            homecoming.main()
        except SystemExit as stopped:
            code = stopped.code
    return Said(code or 0, out.getvalue(), err.getvalue())


def run(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Said:
    """Run the program in a process of its own."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return Said(done.returncode, done.stdout, done.stderr)


def good(said: Said) -> Said:
    """The same, having done what it was asked."""
    assert said.code == 0, said
    return said


def refused(said: Said) -> str:
    """The one line with which the program refused its input."""
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("homecoming: ")
    assert said.err.count("\n") == 1, said.err
    return said.err

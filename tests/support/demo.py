"""A running demo."""

import re
import subprocess
from pathlib import Path
from threading import Thread

from tests.support.program import PATIENCE_S, PROGRAM


class Demo:
    """A running demo; `said` grows with its standard error."""

    def __init__(self, folder: Path, *options: str) -> None:
        """folder: where temporary files go; options: of the command line, --listen apart."""
        self.folder = folder
        self.said = ""
        self.process = subprocess.Popen(
            [*PROGRAM, "demo", "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": "", "TMPDIR": str(folder)},
        )
        self._reader = Thread(target=self._listen)
        self._reader.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def url(self) -> str | None:
        """Where the page is, once that was said."""
        assert self.process.poll() is None, self.said
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        return found[0] if found else None

    def end(self) -> str:
        """Its standard output, once it has ended."""
        self.process.wait(PATIENCE_S)
        self._reader.join()
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def close(self) -> None:
        """End it by force, if it has not ended."""
        self.process.kill()
        self.end()
        with self.process:
            pass  # closes the pipes

"""The file of definitions, read again when it has changed."""

import logging
from pathlib import Path
from threading import Lock

from state.cohorts.definitions import NO_DEFINITIONS, Definitions, parse_definitions
from state.errors import ConfigError

_log = logging.getLogger(__name__)


class DefinitionsFile:
    """The definitions in a file, as it stands now; any thread may ask. Without a path there are none.

    Where a changed file is wrong the last good definitions hold, and `error` says what is wrong with it.
    """

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigError where the file cannot be read, or is wrong from the start."""
        self._path = path
        self._lock = Lock()
        self._seen = _stamp(path)
        self._good = read_definitions(path)
        self.error: str | None = None

    def __call__(self) -> Definitions:
        """The definitions; costs one look at the file's inode where it has not changed."""
        with self._lock:
            seen = _stamp(self._path)
            if seen != self._seen:
                self._seen = seen
                try:
                    self._good, self.error = read_definitions(self._path), None
                except ConfigError as error:
                    self.error = f"{error}; the definitions before this change still hold"
                    _log.error("%s", self.error)
            return self._good


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    """What differs once the file was written; None where it is not there."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    # An editor that writes a file of the same size within one tick of the clock still makes a new inode.
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def read_definitions(path: Path | None) -> Definitions:
    """The definitions in the file, none without a path; ConfigError where it cannot be read or is wrong."""
    if path is None:
        return NO_DEFINITIONS
    try:
        return parse_definitions(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); see consumer_config.cohorts.definitions"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8, got another encoding at byte {error.start}") from None

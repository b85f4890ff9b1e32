"""The detectors' parameters as versioned files in the state directory."""

from pathlib import Path

from state.errors import StateError
from state.spam.calibration import Calibration, Calibrations

FOLDER = "calibration"


def read_calibrations(directory: Path) -> Calibrations:
    """Every version that was written, or the defaults; StateError for a file that is none."""
    return Calibrations(_read(path) for path in sorted((directory / FOLDER).glob("*.json")))


def write_calibration(directory: Path, calibration: Calibration) -> Path:
    """Keep the version; a version is never written twice. The file."""
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{calibration.version}.json"
    with path.open("x", encoding="utf-8") as file:
        file.write(calibration.to_json() + "\n")
    return path


def _read(path: Path) -> Calibration:
    try:
        return Calibration.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, TypeError) as error:
        raise StateError(
            f"{path} is no calibration ({error}): take it away, or write a new one with `homecoming calibrate`"
        ) from None

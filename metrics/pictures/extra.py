"""Whether pictures can be drawn at all: matplotlib is an extra."""

from importlib import import_module

from state.errors import HomecomingError


def require(what: str) -> None:
    """Raise HomecomingError, which says what to install, where matplotlib is not there."""
    try:
        import_module("matplotlib.figure")
    except ImportError:
        raise HomecomingError(f"{what} needs matplotlib: pip install 'homecoming[report]'") from None

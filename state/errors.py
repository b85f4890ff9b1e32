"""Errors that a person can act on: what is wrong, where, and what to do, in one line."""


class HomecomingError(Exception):
    """Wrong use or bad input. The command line prints it as one line and exits with 2."""


class StateError(HomecomingError):
    """The state directory cannot be used as it is: newer, corrupt, read-only, not local."""


class StateBusyError(HomecomingError):
    """The state cannot be written just now (locked, disk full): nothing was written, trying again helps."""


class ConfigError(HomecomingError):
    """The configuration is wrong: path of the key, what was expected, what was found."""


class ArchiveError(HomecomingError):
    """An archive cannot be read as it is: which file, where in it, and why."""

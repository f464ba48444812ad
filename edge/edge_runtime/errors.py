"""What can go wrong in the world outside, and the exit code that each kind ends a program with.

An error's text names the thing, what was found and what to do. Only `main()` functions turn one into an exit code.
Wrong arguments between our own functions are ValueError; bugs crash.
"""

EX_CONFIG = 78  # sysexits.h; systemd does not restart on it (RestartPreventExitStatus=78)


class EdgeError(Exception):
    """Something in the world (a file, a camera, a broker, a disk) is not as it must be."""

    exit_code = 1


class ConfigError(EdgeError):
    """A configuration or recipe that cannot be followed. Restarting does not help."""

    exit_code = EX_CONFIG


class BundleError(EdgeError):
    """A bundle that is incomplete, changed, or not what it says. Restarting does not help."""

    exit_code = EX_CONFIG


class EngineError(EdgeError):
    """The inference engine did not load or did not deliver. A restart may help."""


class PictureError(EdgeError):
    """A picture that cannot be read, or not as what it claims to be."""


class SourceError(EdgeError):
    """A camera, folder or video that does not deliver frames."""


class SourceMissingError(SourceError):
    """A recording that is not there, or is none. Restarting does not help: its path is misspelt, or it is empty."""

    exit_code = EX_CONFIG


class RecordError(EdgeError):
    """A received record (verdict, trigger, command) that is not whole or not by the contract."""


class StorageError(EdgeError):
    """A disk that is full, missing or read-only."""

    exit_code = 74  # EX_IOERR


class BrokerError(EdgeError):
    """A broker that does not take what it is given, where somebody waits for that."""


class SpoolDamagedError(StorageError):
    """A spool whose content is not what was written. The next start sets it aside and begins a new one."""

"""What can be wrong with a backup itself."""

from dteg.core.errors import PermanentError


class DamagedBackupError(PermanentError):
    """A backup is not what was written: do not use it, take another one."""

    def __init__(self, message: str) -> None:
        """Say what is wrong with which file."""
        super().__init__(message, component="backups")

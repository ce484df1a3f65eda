"""A command as the handler of messages: the payload on its standard input, the rest in its environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from dteg.core.errors import ConfigError, DtegError
from dteg.topics.models import Delivery, Message

_KEPT_CHARACTERS = 1_000
_END_S = 5.0


class CommandError(DtegError):
    """The command did not handle the message: it is delivered again."""


class Command:
    """Runs a command for each message; exit code 0 means that it is done.

    Args:
        command: Program and arguments; no shell is involved.
        timeout_s: Time for one message; 0 is for ever.

    Raises:
        ConfigError: There is no such program.
    """

    def __init__(self, command: Sequence[str], timeout_s: float = 0) -> None:
        self._command = list(command)
        if not command or shutil.which(command[0]) is None:
            raise ConfigError(
                f"--exec: there is no program {command[0] if command else ''!r}; write its name or path"
            )
        self._timeout_s = timeout_s or None

    def __call__(self, message: Message) -> None:
        """Run the command to its end.

        Raises:
            CommandError: It cannot be started, ended with another code than 0, or took too long.
        """
        try:
            # A group of its own: Ctrl-C ends the client after this message, not the command in its middle.
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
                env={**os.environ, **environment(message)},
            )  # fmt: skip
        except OSError as error:
            raise CommandError(f"{self._command[0]} cannot be started: {error.strerror}") from None
        try:
            _, told = process.communicate(message.data, self._timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise CommandError(f"took longer than {self._timeout_s:g} s") from None
        except BaseException:
            _end(process)
            raise
        sys.stderr.buffer.write(told)
        sys.stderr.flush()
        if process.returncode:
            last = told.decode("utf-8", "replace").strip()[-_KEPT_CHARACTERS:]
            raise CommandError(f"exit code {process.returncode}" + (f": {last}" if last else ""))


def environment(message: Message) -> dict[str, str]:
    """Return what a command is told of a message besides its payload: all names begin with `DTEG_`."""
    told = {
        "DTEG_TOPIC": message.topic,
        "DTEG_OFFSET": str(message.offset),
        "DTEG_KEY": message.key,
        "DTEG_PUBLISHED_AT": message.published_at.isoformat(),
    }
    if isinstance(message, Delivery):
        told |= {"DTEG_GROUP": message.group, "DTEG_ATTEMPT": str(message.attempt)}
    for name, value in message.headers.items():
        told[f"DTEG_HEADER_{name.upper().replace('-', '_')}"] = value
    return told


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.communicate(timeout=_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()

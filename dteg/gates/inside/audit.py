"""Notes which capabilities the component's own code uses while its tests run, by Python's audit events."""

import sys
from pathlib import Path
from types import FrameType

_EVENTS = {
    "socket.connect": "network",
    "socket.bind": "network",
    "socket.getaddrinfo": "network",
    "subprocess.Popen": "subprocess",
    "os.system": "subprocess",
    "os.exec": "subprocess",
    "os.fork": "subprocess",
    "os.posix_spawn": "subprocess",
    "ctypes.dlopen": "native",
    "open": "filesystem",
    "os.remove": "filesystem",
    "os.rename": "filesystem",
    "os.mkdir": "filesystem",
    "os.listdir": "filesystem",
    "os.scandir": "filesystem",
}
MAX_DEPTH = 60
_NOT_COUNTED = ("/base/", "/dteg/", "/component/", "/usr/", "/proc/", "/dev/")


class Audit:
    """Looks for frames of the component, its tests left out, below each event; a hook cannot be removed again."""

    def __init__(self, sources: set[str]) -> None:
        """Begin to listen.

        Args:
            sources: Paths of the component's files.
        """
        self._sources = sources
        self._found: dict[tuple[str, str, int], None] = {}
        sys.addaudithook(self._heard)

    def used(self, folder: Path) -> list[dict[str, object]]:
        """Return what was used, with file and line."""
        return [
            {"capability": capability, "file": Path(file).relative_to(folder).as_posix(), "line": line}
            for capability, file, line in self._found
        ]

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        capability = _EVENTS.get(event)
        if capability is None or (capability == "filesystem" and _is_of_python(arguments)):
            return
        # Files are also opened by imports, by time zones and by loggers: there only the direct caller counts.
        depth = 4 if capability == "filesystem" else MAX_DEPTH
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - an audit hook has no other way to its caller
        while frame is not None and depth:
            file = frame.f_code.co_filename
            if "importlib" in file:
                return
            if file in self._sources:
                self._found.setdefault((capability, file, frame.f_lineno))
                return
            frame, depth = frame.f_back, depth - 1


def _is_of_python(arguments: tuple[object, ...]) -> bool:
    """Whether a file belongs to Python, its packages or the component itself, or is no path at all."""
    path = arguments[0] if arguments else None
    return not isinstance(path, str | Path) or str(path).startswith(_NOT_COUNTED)

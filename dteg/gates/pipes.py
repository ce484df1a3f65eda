"""The ends of a job's pipes outside: parameters in, results and output out, all of bounded size."""

import json
import os
import threading
from collections.abc import Callable
from typing import Any, Self

from dteg.gates.runner import Limits

_CHUNK = 65_536


class Pipes:
    """Three pipes and the threads that serve them; a context manager that ends when nobody writes any more."""

    def __init__(self, parameters: dict[str, Any], limits: Limits) -> None:
        """Make the pipes; `parameters` must hold the nonce."""
        self._limits, self._nonce = limits, str(parameters["nonce"]).encode()
        self.parameters_fd, self._parameters_in = os.pipe()
        self._results_out, self.results_fd = os.pipe()
        self._output_out, self.output_fd = os.pipe()
        self._data = json.dumps({**parameters, "output": self.results_fd}).encode()
        self._results, self._output = bytearray(), bytearray()
        self._dropped = 0
        self.reason = ""
        self._kill: Callable[[], None] = lambda: None
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._write_parameters, self._read_results, self._read_output)
        ]

    def __enter__(self) -> Self:
        return self

    def started(self, kill: Callable[[], None]) -> None:
        """Begin to serve, after the process was started with its ends of the pipes."""
        self._kill = kill
        for descriptor in (self.parameters_fd, self.results_fd, self.output_fd):
            os.close(descriptor)
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        for descriptor in (self._results_out, self._output_out):
            os.close(descriptor)

    @property
    def messages(self) -> tuple[dict[str, Any], ...]:
        """What was sent with the nonce."""
        return tuple(json.loads(line[len(self._nonce) :]) for line in self._lines() if self._is_ours(line))

    @property
    def forged(self) -> bool:
        """Whether anything came without the nonce."""
        return any(not self._is_ours(line) for line in self._lines())

    @property
    def log(self) -> str:
        """The output, without control characters that would act on a terminal."""
        text = bytes(self._output).decode("utf-8", "replace")
        plain = "".join(each for each in text if each.isprintable() or each in "\n\t")
        return f"{plain}\n[{self._dropped:,} more bytes were cut off]" if self._dropped else plain

    def _lines(self) -> list[bytes]:
        return bytes(self._results).splitlines()

    def _is_ours(self, line: bytes) -> bool:
        if not line.startswith(self._nonce):
            return False
        try:
            return isinstance(json.loads(line[len(self._nonce) :]), dict)
        except (ValueError, RecursionError):
            return False

    def _write_parameters(self) -> None:
        try:
            with os.fdopen(self._parameters_in, "wb") as pipe:
                pipe.write(self._data)
        except BrokenPipeError:
            pass  # it ended before it read them; its exit code says so

    def _read_results(self) -> None:
        while chunk := os.read(self._results_out, _CHUNK):
            if len(self._results) + len(chunk) > self._limits.results:
                self.reason = f"sent more than {self._limits.results >> 20} MiB of results"
                self._kill()
                return
            self._results += chunk

    def _read_output(self) -> None:
        # Read on beyond the limit, or a program that writes much would wait for ever.
        while chunk := os.read(self._output_out, _CHUNK):
            room = max(0, self._limits.output - len(self._output))
            self._output += chunk[:room]
            self._dropped += len(chunk) - min(room, len(chunk))

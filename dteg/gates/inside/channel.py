"""The two pipes between a program inside the sandbox and the gate outside."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any


def parameters(descriptor: int) -> tuple[dict[str, Any], Callable[[dict[str, Any]], None]]:
    """Read the parameters and return them with the function that sends a message.

    The nonce stays in a closure and the pipe is closed after reading: code of the component that is imported later
    finds neither in a variable of a module. It can still search the memory of its own process, so that results of
    a program that imports the component are worth as much as its author's honesty; see docs/concepts/gates.md.
    """
    with os.fdopen(descriptor, "rb") as pipe:
        given = json.loads(pipe.read())
    nonce, output = given.pop("nonce"), given.pop("output")
    os.set_inheritable(output, False)

    def send(message: dict[str, Any]) -> None:
        # Nobody outside can tell: bubblewrap leaves without waiting for the first process of the namespace.
        message.setdefault("cpu_s", sum(os.times()[:4]))
        data = (nonce + json.dumps(message, default=str) + "\n").encode()
        while data:
            data = data[os.write(output, data) :]

    return given, send


def start() -> tuple[dict[str, Any], Callable[[dict[str, Any]], None]]:
    """Return `parameters` for the pipe that is named on the command line."""
    return parameters(int(sys.argv[1]))

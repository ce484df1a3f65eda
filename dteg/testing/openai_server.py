"""A model on the loopback interface: both of OpenAI's protocols, answers that a test gives, and their ways to fail.

A real model cannot be had on a machine without network; what stands between it and us can: HTTP, the SDK, schemas,
limits. Each request is held to the rules of strict schemas, as OpenAI's server does.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from dteg.testing.http_server import FakeServer, Reply, Seen

Failure = Literal["", "refusal", "invalid", "cut_off", "rate_limited", "broken"]


@dataclass
class Said:
    """One answer.

    Attributes:
        content: Becomes JSON; a text is sent as it is.
        failure: How it fails instead.
    """

    content: Any = None
    failure: Failure = ""

    @property
    def text(self) -> str:
        """What the model writes."""
        if self.failure in {"invalid", "cut_off"}:
            return '{"unfinished": '
        return self.content if isinstance(self.content, str) else json.dumps(self.content)


@dataclass
class ModelServer:
    """A running model.

    Attributes:
        url: Base URL.
        answers: What it says, one after the other; the last one for ever.
        requests: What it was asked.
    """

    url: str
    answers: list[Said] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def next(self) -> Said:
        """Return the answer to the next question."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def asked(self) -> list[str]:
        """The texts of all questions, instructions included."""
        return [json.dumps(each, ensure_ascii=False) for each in self.requests]


def model_server() -> Iterator[ModelServer]:
    """Run one; for a fixture with `yield from`."""
    with FakeServer() as server:
        model = ModelServer(f"{server.url}/v1")
        server.route("/v1/chat/completions", lambda seen: _chat(model, seen))
        server.route("/v1/responses", lambda seen: _responses(model, seen))
        yield model


def strict_problems(schema: dict[str, Any], path: str = "") -> list[str]:
    """Return what OpenAI refuses in a strict schema: open objects and properties that may be left out."""
    problems = []
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            problems.append(f"{path or '/'}: additionalProperties must be false")
        if set(schema.get("required", [])) != set(schema.get("properties", {})):
            problems.append(f"{path or '/'}: all properties must be required")
    for key in ("properties", "$defs"):
        for name, each in schema.get(key, {}).items():
            problems += strict_problems(each, f"{path}/{name}")
    if isinstance(schema.get("items"), dict):
        problems += strict_problems(schema["items"], f"{path}/items")
    for number, each in enumerate(schema.get("anyOf", [])):
        problems += strict_problems(each, f"{path}/anyOf/{number}")
    return problems


def _refused(body: dict[str, Any], form: dict[str, Any]) -> Reply | None:
    """Return what OpenAI answers to a request that it does not take."""
    schema = form.get("schema", {})
    problems = strict_problems(schema) if form.get("strict") else ["strict must be true"]
    if not body.get("model"):
        problems.append("model is missing")
    if not problems:
        return None
    return Reply(
        {"error": {"message": "; ".join(problems), "type": "invalid_request_error", "code": None}}, status=400
    )


def _failed(said: Said) -> Reply | None:
    if said.failure == "rate_limited":
        error = {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
        return Reply({"error": error}, status=429, headers={"Retry-After": "0"})
    if said.failure == "broken":
        return Reply({"error": {"message": "The server had an error", "type": "server_error"}}, status=500)
    return None


def _chat(model: ModelServer, seen: Seen) -> Reply:
    body = seen.json()
    model.requests.append(body)
    if refused := _refused(body, body.get("response_format", {}).get("json_schema", {})):
        return refused
    said = model.next()
    if failed := _failed(said):
        return failed
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
    if said.failure == "refusal":
        message |= {"content": None, "refusal": "I cannot help with that."}
    finish = "length" if said.failure == "cut_off" else "stop"
    return Reply({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })  # fmt: skip


def _responses(model: ModelServer, seen: Seen) -> Reply:
    body = seen.json()
    model.requests.append(body)
    if refused := _refused(body, body.get("text", {}).get("format", {})):
        return refused
    said = model.next()
    if failed := _failed(said):
        return failed
    part: dict[str, Any] = {"type": "output_text", "text": said.text, "annotations": []}
    if said.failure == "refusal":
        part = {"type": "refusal", "refusal": "I cannot help with that."}
    status = "incomplete" if said.failure == "cut_off" else "completed"
    return Reply({
        "id": "resp_1", "object": "response", "created_at": 0, "model": body["model"], "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "output": [{"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [part]}],
        "parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "error": None, "metadata": {},
        "usage": {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        },
    })  # fmt: skip

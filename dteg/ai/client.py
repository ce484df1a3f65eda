"""One question to a model that speaks OpenAI's protocol, answered in a given form.

Any server will do: OpenAI, Azure, vLLM, Ollama and others. Nothing is asked unless `DTEG_AI_MODEL` is set.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ValidationError

from dteg.core.errors import ConfigError, DtegError, MissingExtraError
from dteg.core.secrets import resolve

if TYPE_CHECKING:
    import openai

Protocol = Literal["chat", "responses"]
AnswerT = TypeVar("AnswerT", bound=BaseModel)

MODEL_VARIABLE = "DTEG_AI_MODEL"
URL_VARIABLE = "DTEG_AI_URL"
KEY_VARIABLE = "DTEG_AI_KEY"
PROTOCOL_VARIABLE = "DTEG_AI_PROTOCOL"
DEFAULT_KEY = "secret://env/OPENAI_API_KEY"
TIMEOUT_S = 60.0
_RETRIES = 2
_MAX_TOKENS = 8_000
_LOCAL_KEY = "none"  # the SDK wants one; servers on this machine ask for none


class ModelError(DtegError):
    """The model gave no answer that can be used.

    Attributes:
        kind: refusal, invalid, cut_off, rate_limited or unavailable.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Remember the kind."""
        self.kind = kind
        super().__init__(f"the model gave no answer ({kind}): {message}")


@dataclass(frozen=True)
class Model:
    """A model and where it is.

    Attributes:
        name: What the server calls it.
        url: Base URL, such as `http://127.0.0.1:11434/v1`; empty for OpenAI's own.
        key: Secret reference of the key; empty for none.
        protocol: `chat` for Chat Completions, which all servers speak, or `responses`.
        timeout_s: For one answer (s).
    """

    name: str
    url: str = ""
    key: str = DEFAULT_KEY
    protocol: Protocol = "chat"
    timeout_s: float = TIMEOUT_S

    @classmethod
    def configured(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Return the model of the environment; None if there is none.

        Raises:
            ConfigError: The protocol does not exist.
        """
        if not (name := environment.get(MODEL_VARIABLE, "")):
            return None
        protocol = environment.get(PROTOCOL_VARIABLE) or "chat"
        if protocol not in {"chat", "responses"}:
            raise ConfigError(f"{PROTOCOL_VARIABLE}={protocol!r}: use chat or responses")
        url = environment.get(URL_VARIABLE, "")
        key = environment.get(KEY_VARIABLE, "" if url else DEFAULT_KEY)
        return cls(name, url, key, cast("Protocol", protocol))

    def answer(self, form: type[AnswerT], instructions: str, question: str) -> AnswerT:
        """Ask, and return the answer in a form.

        Args:
            form: What the answer has to be; the server is held to its JSON Schema.
            instructions: What the model shall do.
            question: What it is about. Text of users belongs here, not into the instructions.

        Raises:
            ModelError: There is no such answer.
            ConfigError: The key is not there.
            MissingExtraError: The SDK is not installed.
        """
        try:
            import openai
        except ImportError:
            raise MissingExtraError("ai", "asking a model") from None
        key = resolve(self.key) if self.key else _LOCAL_KEY
        with openai.OpenAI(
            api_key=key, base_url=self.url or None, timeout=self.timeout_s, max_retries=_RETRIES
        ) as client:
            try:
                if self.protocol == "responses":
                    return self._by_responses(client, form, instructions, question)
                return self._by_chat(client, form, instructions, question)
            except openai.LengthFinishReasonError:
                raise ModelError("cut_off", f"longer than {_MAX_TOKENS:,} tokens") from None
            except openai.ContentFilterFinishReasonError:
                raise ModelError("refusal", "its content filter") from None
            except openai.RateLimitError as error:
                raise ModelError("rate_limited", _first_line(error)) from None
            except openai.APIConnectionError as error:
                raise ModelError("unavailable", f"{self.url or 'OpenAI'}: {_first_line(error)}") from None
            except openai.APIStatusError as error:
                kind = "unavailable" if error.status_code >= 500 else "invalid"
                raise ModelError(kind, f"HTTP {error.status_code}: {_first_line(error)}") from None
            except (ValidationError, ValueError) as error:
                raise ModelError("invalid", f"not what was asked for: {_first_line(error)}") from None

    def _by_chat(
        self, client: "openai.OpenAI", form: type[AnswerT], instructions: str, question: str
    ) -> AnswerT:
        done = client.chat.completions.parse(
            model=self.name, response_format=form, temperature=0, max_completion_tokens=_MAX_TOKENS,
            messages=[{"role": "system", "content": instructions}, {"role": "user", "content": question}],
        )  # fmt: skip
        if not done.choices:
            raise ModelError("invalid", "an answer without content")
        message = done.choices[0].message
        if message.refusal:
            raise ModelError("refusal", message.refusal)
        if message.parsed is None:
            raise ModelError("invalid", "an answer without content")
        return message.parsed

    def _by_responses(
        self, client: "openai.OpenAI", form: type[AnswerT], instructions: str, question: str
    ) -> AnswerT:
        import openai

        # Not `responses.parse`: it reads an answer that was cut off as one that is wrong.
        schema = openai.pydantic_function_tool(form)["function"]["parameters"]
        done = client.responses.create(
            model=self.name, instructions=instructions, input=question, temperature=0, store=False,
            max_output_tokens=_MAX_TOKENS,
            text={"format": {"type": "json_schema", "name": form.__name__, "schema": schema, "strict": True}},
        )  # fmt: skip
        if done.status == "incomplete":
            raise ModelError("cut_off", f"longer than {_MAX_TOKENS:,} tokens")
        for item in done.output:
            for part in item.content if item.type == "message" else ():
                if part.type == "refusal":
                    raise ModelError("refusal", part.refusal)
        return form.model_validate_json(done.output_text)


def _first_line(error: Exception) -> str:
    from dteg.core.secrets import redact

    return redact(str(error).partition("\n")[0][:300])

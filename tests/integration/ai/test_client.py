"""Questions to a model over both protocols, and each way in which there is no answer."""

from typing import Literal

import pytest
from pydantic import BaseModel

from dteg.ai import Model, ModelError, client
from dteg.core.errors import ConfigError
from dteg.testing.openai_server import Said, model_server, strict_problems


class Colour(BaseModel):
    name: Literal["red", "blue"]
    why: str


RED = {"name": "red", "why": "it is warm"}


@pytest.fixture
def server():
    yield from model_server()


@pytest.fixture(params=["chat", "responses"])
def model(request, server):
    return Model("small", server.url, key="", protocol=request.param)


def ask(model):
    return model.answer(Colour, "Choose a colour.", "Which one?")


def test_an_answer_has_the_form(server, model):
    server.answers = [Said(RED)]
    assert ask(model) == Colour(**RED)
    (asked,) = server.requests
    assert asked["model"] == "small"
    assert "Choose a colour." in server.asked[0]
    assert "Which one?" in server.asked[0]


def test_a_busy_server_is_asked_again(server, model):
    server.answers = [Said(failure="rate_limited"), Said(failure="broken"), Said(RED)]
    assert ask(model).name == "red"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Said(failure="refusal"), "refusal"),
        (Said(failure="invalid"), "invalid"),
        (Said({"name": "green", "why": ""}), "invalid"),
        (Said("no JSON"), "invalid"),
        (Said(failure="cut_off"), "cut_off"),
        (Said(failure="rate_limited"), "rate_limited"),
        (Said(failure="broken"), "unavailable"),
    ],
    ids=["refusal", "unfinished", "not_allowed", "no_json", "cut_off", "rate_limited", "broken"],
)
def test_no_answer_has_a_kind(server, model, said, kind, monkeypatch):
    monkeypatch.setattr(client, "_RETRIES", 0)
    server.answers = [said]
    with pytest.raises(ModelError) as told:
        ask(model)
    assert told.value.kind == kind


def test_a_server_that_is_not_there(model, monkeypatch):
    monkeypatch.setattr(client, "_RETRIES", 0)
    gone = Model("small", "http://127.0.0.1:9/v1", key="", protocol=model.protocol, timeout_s=2)
    with pytest.raises(ModelError, match="unavailable"):
        ask(gone)


def test_the_environment_says_which(monkeypatch):
    assert Model.configured({}) is None
    assert Model.configured({"DTEG_AI_MODEL": "gpt"}) == Model("gpt")
    here = Model.configured({"DTEG_AI_MODEL": "llama", "DTEG_AI_URL": "http://127.0.0.1:11434/v1"})
    assert here == Model("llama", "http://127.0.0.1:11434/v1", key="")
    with pytest.raises(ConfigError, match="chat or responses"):
        Model.configured({"DTEG_AI_MODEL": "gpt", "DTEG_AI_PROTOCOL": "smoke"})
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        ask(Model("gpt"))


def test_open_schemas_are_refused_by_the_server():
    assert strict_problems(Colour.model_json_schema())

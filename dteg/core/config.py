"""The base of every model that is filled from a file, a request or the environment."""

from pydantic import BaseModel, ConfigDict

from dteg.core.secrets import ConnectionUrl, Secret

__all__ = ["ConfigModel", "ConnectionUrl", "Secret", "UnderscoredModel"]


class ConfigModel(BaseModel):
    """Unknown keys are refused, values are frozen, defaults are checked."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=True,  # most models of a file are never used by one run
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,  # an input may be a secret
        use_attribute_docstrings=False,
        allow_inf_nan=False,
    )


class UnderscoredModel(ConfigModel):
    """A field whose name ends with `_`, because Python or pydantic needs the word, is written without it."""

    model_config = ConfigDict(
        alias_generator=lambda name: name.rstrip("_"), populate_by_name=True, serialize_by_alias=True
    )

"""What is kept in MongoDB: models whose `id` is the natural key, so that the key itself refuses a second one."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dteg.core.config import ConfigModel

T = TypeVar("T")


# Text of a request as MongoDB can keep and people can read: no control characters but tab and line end.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _printable(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text


Text = Annotated[str, AfterValidator(_printable)]
Line = Annotated[Text, Field(pattern=r"^[^\r\n]*$")]


class Body(ConfigModel):
    """Base of what a client may send: unknown keys are refused, so no operator of a query gets in."""

    model_config = ConfigDict(defer_build=False)


class Answer(BaseModel):
    """Base of what a client gets."""

    model_config = ConfigDict(frozen=True)


class Page(Answer, Generic[T]):
    """One page of a list.

    Attributes:
        items: What is on it.
        next: Give this as `after` for the next page; None at the end.
    """

    items: list[T]
    next: str | None = None


class Document(BaseModel):
    """Base of all stored models. Datetimes are UTC and cut to milliseconds, which is what MongoDB keeps."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(alias="_id")
    schema_version: int = 1

    def to_mongo(self) -> dict[str, Any]:
        """Return the document as it is stored."""
        return self.model_dump(by_alias=True, mode="python")

    @classmethod
    def from_mongo(cls, document: dict[str, Any]) -> Self:
        """Read a stored document."""
        return cls.model_validate(document)


def milliseconds(moment: datetime) -> datetime:
    """Cut to what MongoDB keeps, so that a value equals itself after a round trip."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)

"""Parameters that many routes share."""

from typing import Annotated

from fastapi import Path, Query

from registry.identifiers import NAMESPACE_PATTERN, SLUG_PATTERN

ID_PATTERN = r"^[0-9a-z]{26}$"
COMPONENT_PATTERN = r"^[a-z][a-z0-9]{1,38}/[a-z][a-z0-9]*(-[a-z0-9]+)*$"
VERSION_PATTERN = r"^\d{1,9}\.\d{1,9}\.\d{1,9}(rc[1-9]\d{0,8})?$"

NamespacePath = Annotated[str, Path(pattern=NAMESPACE_PATTERN)]
SlugPath = Annotated[str, Path(pattern=SLUG_PATTERN, max_length=100)]
IdPath = Annotated[str, Path(pattern=ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str, Query(pattern=r"^[0-9a-z.-]{0,80}$", description="`next` of the page before.")]

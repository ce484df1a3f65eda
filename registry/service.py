"""The base of the services."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pymongo import IndexModel

if TYPE_CHECKING:
    from registry.services import Services


class Service:
    """The rules of one concept; it alone touches its collections.

    Attributes:
        INDEXES: Indexes of its collections, by name of the collection.
    """

    INDEXES: ClassVar[Mapping[str, Sequence[IndexModel]]] = {}

    def __init__(self, services: "Services") -> None:
        self.services = services
        self.database = services.database
        self.clock = services.clock
        self.settings = services.settings

    async def start(self) -> None:
        """Begin what runs in the background. The database may be down."""

    async def stop(self) -> None:
        """End what runs in the background, and write what is not yet written."""

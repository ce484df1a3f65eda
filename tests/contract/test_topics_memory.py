"""The contract of topics, in memory."""

from collections.abc import Iterator

import pytest

from dteg.testing.memory_topics import MemoryTopics
from dteg.testing.topics_contract import TopicsContract
from dteg.topics import Topics


class TestMemoryTopics(TopicsContract):
    @pytest.fixture
    def topics(self) -> Iterator[Topics]:
        return MemoryTopics()

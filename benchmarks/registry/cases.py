"""What is measured, each against a registry that is full already."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.registry import wrk
from benchmarks.registry.corpus import Corpus, words
from benchmarks.registry.publishing import ACCEPTED, TAKEN, Publisher
from benchmarks.registry.running import FailedError, Registry
from benchmarks.registry.wire import Call, Outcome, burst, closed_loop, get, open_loop, percentile
from dteg.signing import SigningKey

JSON_INDEX = "Accept: application/vnd.pypi.simple.v1+json\r\n"
# Components that get new versions: thousands of versions of one would be no registry that anybody has.
PUBLISHED = 100
# Of 100 requests of the mixed load.
SHARES = {"index": 35, "index unchanged": 35, "download": 15, "search": 10, "page": 4, "publish": 1}
BURST_VERSIONS, BURST_TIMES = 20, 10
_CALLS = 20_000
# Shares of the searches.
_TYPING_ERRORS, _WHOLE_NAMES = 0.1, 0.15
MORE_WORDS = ("extractor", "loader", "source", "sink", "database", "incremental", "parallel", "retries", "by key", "read", "postgresql", "pg", "mongo")  # fmt: skip


@dataclass
class Case:
    """The result of one case.

    Attributes:
        figures: By name; names end in their unit.
        notes: What one has to know to read them.
    """

    figures: dict[str, Any]
    notes: list[str] = field(default_factory=list)


class Load:
    """Requests of all kinds, drawn with a fixed seed.

    Args:
        registry: Where they go.
        corpus: What is there.
        files: How many releases have a file.
        seed: Another one gives other requests.
    """

    def __init__(self, registry: Registry, corpus: Corpus, files: int, seed: int = 1) -> None:
        self.registry, self.corpus, self.files, self.port = registry, corpus, files, registry.port
        self.draw = random.Random(seed)  # noqa: S311 - no secret
        self._tags: dict[str, str] = {}

    def index(self) -> Call:
        """The page of a package, as pip and uv ask for it."""
        return get("index", f"/simple/{self._package()}/", self.port, JSON_INDEX)

    def unchanged(self) -> Call:
        """The same by somebody who has it."""
        path = f"/simple/{self._known_package()}/"
        headers = f"{JSON_INDEX}If-None-Match: {self._tags[path]}\r\n"
        return get("index unchanged", path, self.port, headers, (304,))

    def download(self) -> Call:
        """A wheel."""
        return get("download", self._wheels[self.draw.randrange(len(self._wheels))], self.port)

    def search(self) -> Call:
        """What people type: systems, aspects, kinds, or a name; sometimes with a filter, an order or a typing error."""
        return get("search", f"/api/v1/search?{urlencode(self._question())}", self.port)

    def page(self) -> Call:
        """A page of the site."""
        number = self.draw.randrange(len(self.corpus.manifests))
        manifest = self.corpus.manifests[number]
        paths = ("/", f"/search?{urlencode(self._question())}", f"/c/{manifest.namespace}/{manifest.slug}")
        return get("page", self.draw.choice(paths), self.port, "Accept: text/html\r\n")

    def prepare(self) -> None:
        """Learn tags and addresses of files, as clients have learned them before."""
        numbers = self.draw.sample(range(len(self.corpus.manifests)), min(500, len(self.corpus.manifests)))
        headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
        with httpx.Client(base_url=self.registry.url, headers=headers, timeout=30) as client:
            for number in numbers:
                path = f"/simple/{self.corpus.manifests[number].distribution}/"
                answer = client.get(path)
                if answer.status_code != 200:
                    raise FailedError(f"{path} answers {answer.status_code}")
                self._tags[path] = answer.headers["etag"]
            self._wheels: list[str] = []
            for number in range(self.files):
                answer = client.get(f"/simple/{self.corpus.manifests[number].distribution}/")
                urls = [each["url"] for each in answer.json()["files"] if "-1.0.0-" in each["url"]]
                self._wheels += [answer.url.join(url).path for url in urls]
        if self.files and not self._wheels:
            raise FailedError("no wheel can be downloaded")

    def _package(self) -> str:
        return self.corpus.manifests[self.draw.randrange(len(self.corpus.manifests))].distribution

    def _known_package(self) -> str:
        return self.draw.choice(list(self._tags)).split("/")[2]

    def _question(self) -> dict[str, str]:
        draw = self.draw
        question = {"q": self._name() if draw.random() < _WHOLE_NAMES else self._words()}
        if draw.random() < 0.3:
            question["kind"] = draw.choice(("extractor", "loader", "processor"))
        if draw.random() < 0.2:
            question["sort"] = draw.choice(("downloads", "rating", "updated"))
        return question

    def _name(self) -> str:
        """The name of one component, as it is copied from a page or a pipeline."""
        manifest = self.corpus.manifests[self.draw.randrange(len(self.corpus.manifests))]
        return self.draw.choice((manifest.name, manifest.slug, f"{manifest.namespace}/{manifest.slug}"))

    def _words(self) -> str:
        draw, known = self.draw, [*words(), *MORE_WORDS]
        typed = draw.sample(known, draw.choice((1, 1, 2, 2, 3)))
        if draw.random() < _TYPING_ERRORS:
            word = typed[0]
            at = draw.randrange(len(word))
            typed[0] = word[:at] + word[at + 1 :] or word
        return " ".join(typed)


def alone(load: Load, kind: str, *, connections: int, seconds: float) -> Case:
    """As many requests of one kind as there can be: `index`, `unchanged` or `search`."""
    calls = [getattr(load, kind)() for _ in range(_CALLS)]
    before = load.registry.cpu_s()
    began = time.perf_counter()
    if wrk.program():
        case = Case(wrk.run(load.port, calls, connections=connections, seconds=seconds))
        case.notes.append("generator: wrk, one thread")
    else:
        case = Case(_closed(closed_loop(load.port, calls, connections=connections, seconds=seconds)))
        case.notes.append("generator: ours, as there is no wrk on this machine; it takes a core of its own")
    used = load.registry.cpu_s() - before
    case.figures["server_cpu_ms_per_request"] = round(1000 * used / max(1, case.figures["requests"]), 3)
    case.figures["server_cores"] = round(used / (time.perf_counter() - began), 2)
    case.notes.append(f"{len({call.data for call in calls}):,} different requests")
    return case


def _closed(outcome: Outcome) -> dict[str, Any]:
    (times,) = outcome.kinds.values()
    return {
        "requests": len(times.seconds), "per_second": round(len(times.seconds) / outcome.wall_s),
        "p50_ms": _ms(times.seconds, 50), "p99_ms": _ms(times.seconds, 99), "wrong": times.wrong,
    }  # fmt: skip


def mixed(load: Load, *, per_second: float, seconds: float, folder: Path, key: SigningKey) -> Case:
    """What a registry sees all day, sent by the clock: see `SHARES`."""
    calls = _mixture(load, round(per_second * seconds), folder, key)
    memory, cpu = load.registry.memory_mb(), load.registry.cpu_s()
    outcome = open_loop(load.port, calls, per_second=per_second)
    figures: dict[str, Any] = {
        "requests": len(calls), "per_second": round(len(calls) / outcome.wall_s), "wall_s": round(outcome.wall_s, 1),
        "server_cores": round((load.registry.cpu_s() - cpu) / outcome.wall_s, 2),
        "generator_cores": round(outcome.cpu_s / outcome.wall_s, 2), "generator_late_p99_ms": round(outcome.late_ms, 1),
        "errors_5xx": sum(
            count for times in outcome.kinds.values() for status, count in times.statuses.items()
            if status >= 500 or status == 0
        ),
        "wrong": sum(times.wrong for times in outcome.kinds.values()),
        "memory_before_mb": memory, "memory_after_mb": load.registry.memory_mb(),
    }  # fmt: skip
    for kind in sorted(outcome.kinds):
        times = outcome.kinds[kind]
        figures[kind] = {
            "count": len(times.seconds), "p50_ms": _ms(times.seconds, 50), "p99_ms": _ms(times.seconds, 99),
            "max_ms": _ms(times.seconds, 100), "first_byte_p99_ms": _ms(times.first_byte, 99),
            "statuses": {str(status): count for status, count in sorted(times.statuses.items())},
        }  # fmt: skip
    return Case(
        figures, ["open loop: times count from when a request was due", "gates are not run meanwhile"]
    )


def _mixture(load: Load, count: int, folder: Path, key: SigningKey) -> list[Call]:
    makers = {
        "index": load.index, "index unchanged": load.unchanged, "download": load.download, "search": load.search,
        "page": load.page,
    }  # fmt: skip
    publishers = [Publisher(folder, key, f"mixed{number}") for number in range(PUBLISHED)]
    published, calls = 0, []
    for kind in load.draw.choices(list(SHARES), list(SHARES.values()), k=count):
        if kind == "publish":
            publisher = publishers[published % PUBLISHED]
            calls.append(publisher.call(f"1.{published // PUBLISHED}.0", load.port, load.registry.token))
            published += 1
        else:
            calls.append(makers[kind]())
    return calls


def publish_burst(registry: Registry, *, folder: Path, key: SigningKey) -> Case:
    """The same twenty versions ten times each, all at once: each is accepted once."""
    publisher = Publisher(folder, key, "burst")
    versions = [f"1.{number}.0" for number in range(BURST_VERSIONS)]
    once = [publisher.call(version, registry.port, registry.token, (ACCEPTED, TAKEN)) for version in versions]
    calls = [call for call in once for _ in range(BURST_TIMES)]
    random.Random(2).shuffle(calls)  # noqa: S311 - no secret
    outcome = burst(registry.port, calls)
    times = outcome.kinds["publish"]
    return Case(
        {
            "requests": len(calls), "accepted": times.statuses.get(ACCEPTED, 0), "taken": times.statuses.get(TAKEN, 0),
            "statuses": {str(status): count for status, count in sorted(times.statuses.items())},
            "wall_s": round(outcome.wall_s, 2), "p99_ms": _ms(times.seconds, 99),
        }
    )  # fmt: skip


def memory_growth(load: Load, *, seconds: float, per_second: float) -> Case:
    """Whether workers need more memory the longer they work: searches and index pages, without anything published."""
    registry, rounds = load.registry, 6
    samples = []
    for _ in range(rounds):
        calls = [
            load.search() if number % 2 else load.index()
            for number in range(round(per_second * seconds / rounds))
        ]
        open_loop(load.port, calls, per_second=per_second)
        samples.append(registry.memory_mb())
    after_warm_up = [max(each) for each in samples[1:]]
    growth = (after_warm_up[-1] - after_warm_up[0]) / after_warm_up[0]
    return Case({"samples_mb": samples, "growth_percent": round(100 * growth, 2), "seconds": seconds})


def _ms(values: Sequence[float], share: float) -> float:
    return round(1000 * percentile(values, share), 2)

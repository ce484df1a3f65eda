"""What an install would do: which releases, with which proof, with which dependencies. Changes nothing but caches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from dteg.core.clock import utc_now
from dteg.core.errors import NotFoundError, RegistryError
from dteg.core.places import cache_dir
from dteg.core.project import Project
from dteg.marketplace.client import TamperedError, check_file
from dteg.marketplace.dependencies import needs_of, resolve_dependencies, to_install
from dteg.marketplace.environment import Environment, Installer
from dteg.marketplace.lockfile import LOCK_NAME, Lock, LockedComponent, LockedDependency, read_lock
from dteg.marketplace.records import Release
from dteg.marketplace.references import Reference, parse_reference
from dteg.marketplace.resolve import Choice, Here, Wish, choose_release, incompatible, proven
from dteg.marketplace.source import Source
from dteg.marketplace.trust import Pins, Proof, losses, prove, require
from dteg.packages import WheelContents, inspect_wheel
from dteg.versions import Range, parse_range

Watch = Callable[[str, int, int], None]
"""Told of a download: file name, bytes done, bytes in all."""


class LockError(RegistryError):
    """The lock file and what is asked for do not agree: run dteg install without --locked, and commit the new lock."""


@dataclass(frozen=True)
class Options:
    """How to choose, and what to accept.

    Attributes:
        prereleases: Release candidates count.
        min_trust: Weakest level for what is new.
        min_age: Younger releases do not count.
        accept_downgrade: Take what is trusted less than before.
        upgrade: Leave a locked version for a better one.
    """

    prereleases: bool = False
    min_trust: str = "attested"
    min_age: timedelta = timedelta()
    accept_downgrade: bool = False
    upgrade: bool = False


@dataclass(frozen=True)
class Planned:
    """One component of a plan.

    Attributes:
        release: What was chosen.
        wheel: Its verified file.
        contents: What is in it.
        proof: What its signatures say.
        before: What it replaces, None if it is new.
        range: The versions that were asked for.
        proven: Whether it was tested with this dteg and Python.
        notes: What the user should know.
        losses: In what it is trusted less than before.
    """

    release: Release
    wheel: Path
    contents: WheelContents
    proof: Proof
    before: LockedComponent | None
    range: str
    proven: bool
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    @property
    def locked(self) -> LockedComponent:
        """Return its entry for the lock file."""
        manifest = self.contents.manifest
        return LockedComponent(
            id=self.release.component, range=self.range, version=self.release.version,
            filename=self.contents.filename, sha256=self.contents.sha256, size=self.contents.size,
            trust=self.proof.level, key_id=self.proof.publisher[0], registry_key_id=self.proof.registry[0],
            signature=self.proof.signature, attestation=self.proof.attestation,
            capabilities=tuple(sorted(manifest.capabilities.names())), dependencies=tuple(manifest.dependencies),
        )  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What an install would do.

    Attributes:
        components: Those that come or change.
        dependencies: All packages of the Python index that the lock will name.
        missing: Those of them that have to be installed.
        lock: The lock file afterwards.
        notes: What the user should know.
    """

    components: tuple[Planned, ...]
    dependencies: tuple[LockedDependency, ...]
    missing: tuple[LockedDependency, ...]
    lock: Lock
    notes: tuple[str, ...] = ()


@dataclass
class Planner:
    """Makes plans for one project and environment.

    Attributes:
        project: Whose lock file it is.
        source: Where components come from.
        environment: What would be changed.
        installer: Asks the Python index.
        watch: Told of downloads.
        now: The time.
        here: Versions that a component has to work with.
        share: Where this installation stands among all, 0 to 99; asked for when a release is rolled out to a part.
    """

    project: Project
    source: Source
    environment: Environment
    installer: Installer
    watch: Watch = lambda name, done, size: None
    now: Callable[[], datetime] = utc_now
    here: Here = field(default_factory=Here)
    share: Callable[[], int] = lambda: 0

    def __post_init__(self) -> None:
        """Read the lock and the remembered keys."""
        self.lock = read_lock(self.project.root / LOCK_NAME)
        self.pins = Pins.load(self.source.origin)
        self._releases: dict[str, list[Release]] = {}

    def releases(self, component: str) -> list[Release]:
        """Return all releases of a component, asking once."""
        if component not in self._releases:
            self._releases[component] = self.source.releases(component)
        return self._releases[component]

    def plan(self, wanted: Sequence[tuple[Reference, bool]], options: Options) -> Plan:
        """Choose and verify what is asked for.

        Args:
            wanted: References, and whether the range of each goes into the lock.
            options: How to choose.

        Raises:
            RegistryError: Something cannot or must not be installed; says what and why.
        """
        ranges: dict[str, list[Reference]] = {}
        keep_range: dict[str, str] = {}
        for reference, explicit in wanted:
            component = self._find(reference)
            ranges.setdefault(component, []).append(reference)
            if explicit or component not in self.lock.components:
                keep_range[component] = ", ".join(
                    filter(None, [keep_range.get(component, ""), reference.range.text])
                )
        planned = []
        for component, references in ranges.items():
            before = self.lock.components.get(component)
            wanted_range = keep_range.get(component, before.range if before else "")
            wish = self._wish(component, references, before, options)
            choice = choose_release(component, self.releases(component), wish, self.now(), self.here)
            planned.append(self._verify(choice, before, wanted_range, options))
        return self._complete(planned)

    def locked(self, declared: Iterable[Reference] = ()) -> Plan:
        """Plan exactly what the lock file says.

        Args:
            declared: What pipelines ask for; the lock must have all of it.

        Raises:
            LockError: The lock lacks something, or the registry has other files than the lock says.
        """
        for reference in declared:
            self._refuse_unlocked(reference)
        planned = [self._verify_locked(each) for each in self.lock.components.values()]
        dependencies = tuple(self.lock.dependencies.values())
        missing = tuple(to_install(dependencies, self.environment.packages))
        return Plan(tuple(planned), dependencies, missing, self.lock)

    def release_as_locked(self, locked: LockedComponent) -> Planned:
        """Return a release that a lock names, verified against it."""
        return self._verify_locked(locked)

    def release_for_copy(self, base: LockedComponent, options: Options) -> Planned:
        """Return the best release for a copy that was made from `base`."""
        wanted = [parse_range(base.range)] if base.range else []
        wish = Wish(wanted, "", options.prereleases, options.min_age, "", self._share(base.id))
        choice = choose_release(base.id, self.releases(base.id), wish, self.now(), self.here)
        return self._verify(choice, base, base.range, options)

    def _find(self, reference: Reference) -> str:
        """Prefer what is locked already: `kafka` must not become another component because a new one has that name."""
        fitting = [each for each in self.lock.components if reference.means(each)]
        exact = [each for each in fitting if each == str(reference)]
        if len(exact or fitting) == 1:
            return (exact or fitting)[0]
        return self.source.find(reference)

    def _share(self, component: str) -> int:
        return self.share() if any(each.rollout.percent < 100 for each in self.releases(component)) else 0

    def _wish(
        self, component: str, references: list[Reference], before: LockedComponent | None, options: Options
    ) -> Wish:
        wanted: list[Range] = [each.range for each in references if each.range.text]
        if options.upgrade and not wanted and before and before.range:
            wanted = [parse_range(before.range)]
        exact = next((each.exact for each in references if each.exact), "")
        keep = before.version if before and not options.upgrade else ""
        return Wish(wanted, exact, options.prereleases, options.min_age, keep, self._share(component))

    def _verify(
        self, choice: Choice, before: LockedComponent | None, wanted: str, options: Options
    ) -> Planned:
        release = choice.release
        if before and before.version == release.version and before.sha256 != release.sha256:
            raise TamperedError(_exchanged(release, before))
        proof = prove(self.source, release, self.pins)
        found = losses(before, proof, release.manifest.capabilities.names())
        require(
            release, proof, found, least=options.min_trust, before=before, accept=options.accept_downgrade
        )
        wheel, contents = self.fetch(release)
        self.pins.remember(release.component, proof)
        return Planned(
            release, wheel, contents, proof, before, wanted, choice.proven, choice.notes, tuple(found)
        )

    def _verify_locked(self, locked: LockedComponent) -> Planned:
        """Check a release against its entry in the lock; a yanked one stays installable for those who have it."""
        releases = {each.version: each for each in self.releases(locked.id)}
        release = releases.get(locked.version)
        who = f"{locked.id}@{locked.version}"
        if release is None or release.state not in ("listed", "yanked"):
            state = f"{release.state}: {release.reason}" if release else "not there"
            raise LockError(
                f"{LOCK_NAME} names {who}, which is {state}; choose another: dteg update {locked.id}"
            )
        if (release.sha256, release.filename, release.size) != (locked.sha256, locked.filename, locked.size):
            raise TamperedError(_exchanged(release, locked))
        if why := incompatible(release, self.here):
            raise LockError(f"{LOCK_NAME} names {who}, which {why}")
        proof = prove(self.source, release, self.pins, (locked.signature, locked.attestation))
        for name, have, want in (
            ("publisher's key", proof.publisher[0], locked.key_id),
            ("registry's key", proof.registry[0], locked.registry_key_id),
            ("publisher's signature", proof.signature, locked.signature),
            ("registry's attestation", proof.attestation, locked.attestation),
        ):
            if want and have != want:
                raise LockError(f"{who}: the {name} is not the one in {LOCK_NAME} ({want[:16]})")
        wheel, contents = self.fetch(release)
        self.pins.remember(release.component, proof)
        notes = (f"{locked.version} was yanked: {release.reason}",) if release.state == "yanked" else ()
        ok = proven(release, self.here)
        return Planned(release, wheel, contents, proof, locked, locked.range, ok, notes)

    def _refuse_unlocked(self, reference: Reference) -> None:
        fitting = [each for each in self.lock.components.values() if reference.means(each.id)]
        if not fitting:
            raise LockError(f"{LOCK_NAME} lacks {reference}; run dteg install, and commit {LOCK_NAME}")
        if not any(reference.range.contains(each.version, True) for each in fitting):
            raise LockError(
                f"{LOCK_NAME} has {fitting[0].id} {fitting[0].version}, a pipeline wants {reference.range}; "
                f"run dteg update {fitting[0].id}, and commit {LOCK_NAME}"
            )

    def fetch(self, release: Release) -> tuple[Path, WheelContents]:
        """Return the wheel of a release, from the cache or the source, after looking into it.

        Raises:
            TamperedError: It is not what the registry says it is.
        """
        wheel = cache_dir() / "wheels" / release.sha256 / release.filename
        try:
            check_file(wheel, release.filename, sha256=release.sha256, size=release.size)
        except (FileNotFoundError, TamperedError):  # a damaged cache is no reason to fail
            self.source.fetch(release, wheel, lambda done, size: self.watch(release.filename, done, size))
        contents = inspect_wheel(wheel)
        if contents.sha256 != release.sha256:  # changed between the two looks
            raise TamperedError(f"{wheel} was changed while it was read; nothing was installed")
        manifest = contents.manifest
        if (
            f"{manifest.namespace}/{manifest.slug}@{manifest.version}" != release.id
            or manifest != release.manifest
        ):
            raise TamperedError(
                f"{release.id}: the dteg.yaml in the file is not the one that the registry shows; nothing was installed"
            )
        return wheel, contents

    def _complete(self, planned: list[Planned]) -> Plan:
        lock = Lock(self.source.origin, self.lock.components, self.lock.dependencies)
        lock = lock.with_components(each.locked for each in planned)
        needs = [
            need
            for each in lock.components.values()
            for need in needs_of(f"{each.id} {each.version}", each.dependencies)
        ]
        dependencies, notes = resolve_dependencies(needs, self.environment, self.installer)
        lock = lock.with_dependencies(dependencies)
        missing = to_install(dependencies, self.environment.packages)
        return Plan(tuple(planned), tuple(dependencies), tuple(missing), lock, tuple(notes))


def _exchanged(release: Release, locked: LockedComponent) -> str:
    return (
        f"{release.id} was tampered with: {LOCK_NAME} names a file with SHA-256 {locked.sha256}, "
        f"the registry has {release.sha256}; nothing was installed"
    )


def declared_by_pipelines(project: Project) -> list[Reference]:
    """Return the components that the project's pipelines list under `components.marketplace`, and use as `dteg://`.

    Raises:
        ConfigError: A pipeline file cannot be read.
    """
    from dteg.core.yaml import read, validate
    from dteg.pipelines.plan import pipeline_files
    from dteg.pipelines.spec import PipelineFile

    found: dict[str, Reference] = {}
    for path in pipeline_files(project):
        spec = validate(read(path, str(path.relative_to(project.root))), PipelineFile).pipeline
        for each in spec.components.marketplace:
            text = f"{each.source}@{each.version}"
            found[text] = parse_reference(text)
        for step in spec.ordered_steps():
            parts = {
                "extractor": step.extract, "processor": step.process, "loader": step.load, "transformer": step.transform,
            }  # fmt: skip
            for kind, part in parts.items():
                if part and part.type.startswith("dteg://"):
                    # The step tells the kind, so a name that an extractor and a loader share is clear here.
                    text = part.type.replace("_", "-").removesuffix(f"-{kind}") + f"-{kind}"
                    found[text] = parse_reference(text)
    return list(found.values())


def find_locked(lock: Lock, reference: Reference) -> LockedComponent:
    """Return the installed component that is meant.

    Raises:
        NotFoundError: It is not installed.
    """
    from dteg.marketplace.references import choose

    if not lock.components:
        raise NotFoundError(f"no component is installed here ({LOCK_NAME} has none)")
    return lock.components[choose(reference, lock.components, LOCK_NAME)]

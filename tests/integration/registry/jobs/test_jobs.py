import asyncio
from datetime import timedelta

import pytest

from dteg.core.errors import InputError
from registry.jobs.models import JobState
from registry.services import Services

pytestmark = pytest.mark.integration


@pytest.fixture
def jobs(registry):
    return registry.services.jobs


def enqueue(registry, key, **options):
    return registry.run(registry.services.jobs.enqueue("gate", {"key": key}, dedupe_key=key, **options))


def claim(registry, worker="w1", lease_s=60):
    return registry.run(registry.services.jobs.claim(["gate"], worker, lease_s))


def test_jobs_come_out_in_order_and_once(registry, jobs):
    made = [enqueue(registry, str(number)) for number in range(3)]
    assert [claim(registry).id for _ in range(3)] == [job.id for job in made]
    assert claim(registry) is None
    assert registry.run(jobs.claim(["other"], "w", 60)) is None


def test_the_same_work_is_queued_once_until_it_is_done(registry, jobs):
    first = enqueue(registry, "a")
    assert enqueue(registry, "a").id == first.id
    running = claim(registry)
    assert enqueue(registry, "a").id == first.id
    assert registry.run(jobs.finish(running))
    assert enqueue(registry, "a").id != first.id


def test_each_of_many_jobs_goes_to_one_of_many_workers(registry, jobs):
    async def work():
        for number in range(30):
            await jobs.enqueue("gate", {}, dedupe_key=str(number))
        others = [Services(registry.settings) for _ in range(5)]

        async def drain(services, name):
            taken = []
            while (job := await services.jobs.claim(["gate"], name, 60)) is not None:
                taken.append(job.id)
            return taken

        found = await asyncio.gather(*(drain(each, f"w{n}") for n, each in enumerate(others)))
        for each in others:
            await each.database.close()
        return [job for taken in found for job in taken]

    taken = registry.run(work())
    assert len(taken) == len(set(taken)) == 30


def test_a_job_waits_for_its_time(registry):
    enqueue(registry, "a", run_at=registry.clock() + timedelta(minutes=5))
    assert claim(registry) is None
    registry.clock.advance(minutes=6)
    assert claim(registry) is not None


def test_a_vanished_worker_loses_its_job_and_can_no_longer_end_it(registry, jobs):
    enqueue(registry, "a")
    lost = claim(registry, "w1", lease_s=30)
    assert claim(registry, "w2") is None
    registry.clock.advance(seconds=31)
    taken = claim(registry, "w2")
    assert taken.id == lost.id
    assert not registry.run(jobs.renew(lost, 30))
    assert not registry.run(jobs.finish(lost))
    assert not registry.run(jobs.fail(lost, "late"))
    assert registry.run(jobs.finish(taken))
    assert registry.run(jobs.get(taken.id)).state is JobState.DONE


def test_the_same_worker_after_a_restart_is_another_holder(registry, jobs):
    enqueue(registry, "a")
    before = claim(registry, "w1", lease_s=30)
    registry.clock.advance(seconds=31)
    after = claim(registry, "w1")
    assert not registry.run(jobs.finish(before))
    assert registry.run(jobs.finish(after))


def test_renewing_keeps_a_job(registry, jobs):
    enqueue(registry, "a")
    job = claim(registry, "w1", lease_s=30)
    for _ in range(5):
        registry.clock.advance(seconds=20)
        assert registry.run(jobs.renew(job, 30))
    assert claim(registry, "w2") is None


def test_failures_wait_longer_each_time_and_end_dead(registry, jobs):
    enqueue(registry, "a", tries=3)
    waits = []
    for _ in range(2):
        job = claim(registry)
        registry.run(jobs.fail(job, "postgresql://u:hunter2@h/d refused"))
        again = registry.run(jobs.get(job.id))
        assert again.state is JobState.QUEUED
        waits.append((again.run_at - registry.clock()).total_seconds())
        assert claim(registry) is None
        registry.clock.advance(hours=1)
    assert waits[1] > waits[0] > 3
    last = claim(registry)
    registry.run(jobs.fail(last, "postgresql://u:hunter2@h/d refused"))
    dead = registry.run(jobs.get(last.id))
    assert dead.state is JobState.DEAD
    assert "refused" in dead.error
    assert "hunter2" not in dead.error
    registry.clock.advance(days=30)
    assert claim(registry) is None
    assert registry.run(jobs.sweep()) == 0
    assert registry.run(jobs.get(last.id)) is not None, "dead jobs stay for people to look at"
    assert registry.run(jobs.revive(last.id))
    assert claim(registry).id == last.id


def test_a_final_failure_is_dead_at_once_and_a_time_can_be_given(registry, jobs):
    enqueue(registry, "a")
    registry.run(jobs.fail(claim(registry), "no", final=True))
    assert registry.run(jobs.counts()) == {"queued": 0, "running": 0, "done": 0, "dead": 1}
    enqueue(registry, "b")
    registry.run(jobs.fail(claim(registry), "later", retry_in_s=0))
    assert claim(registry).payload == {"key": "b"}


def test_who_vanishes_in_the_last_try_is_buried_by_the_sweep(registry, jobs):
    job = enqueue(registry, "a", tries=1)
    claim(registry, "w1", lease_s=30)
    registry.clock.advance(seconds=31)
    assert claim(registry, "w2") is None
    assert registry.run(jobs.sweep()) == 1
    dead = registry.run(jobs.get(job.id))
    assert (dead.state, "w1 vanished" in dead.error) == (JobState.DEAD, True)


def test_old_done_jobs_are_forgotten(registry, jobs):
    enqueue(registry, "a")
    job = claim(registry)
    registry.run(jobs.finish(job))
    registry.clock.advance(days=8)
    registry.run(jobs.sweep())
    assert registry.run(jobs.get(job.id)) is None


class TestRunOne:
    def run(self, registry, handler, lease_s=30.0):
        return registry.run(registry.services.jobs.run_one(["gate"], "w1", lease_s, handler))

    def test_what_the_handler_does_decides(self, registry, jobs):
        async def good(job): ...

        async def bad(job):
            raise InputError("broken wheel")

        async def worse(job):
            raise KeyError("bug")

        assert self.run(registry, good) is False
        for handler, state in ((good, JobState.DONE), (bad, JobState.QUEUED), (worse, JobState.QUEUED)):
            job = enqueue(registry, handler.__name__)
            assert self.run(registry, handler) is True
            assert registry.run(jobs.get(job.id)).state is state
        assert "broken wheel" in str(registry.run(self.errors(registry)))

    async def errors(self, registry):
        return [each["error"] async for each in registry.services.database["jobs"].find({})]

    def test_the_lease_is_renewed_while_it_runs(self, registry, jobs):
        job = enqueue(registry, "slow")

        async def slow(job):
            await asyncio.sleep(1.2)
            assert await jobs.claim(["gate"], "w2", 30) is None

        assert self.run(registry, slow, lease_s=0.6)
        assert registry.run(jobs.get(job.id)).state is JobState.DONE

    def test_a_handler_whose_job_is_lost_is_stopped(self, registry, jobs):
        enqueue(registry, "lost")
        reached = []

        async def lost(job):
            registry.clock.advance(seconds=60)
            assert await jobs.claim(["gate"], "w2", 60) is not None
            await asyncio.sleep(20)
            reached.append(True)

        assert self.run(registry, lost, lease_s=0.3)
        assert not reached

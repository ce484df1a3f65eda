from registry.rate_limits.buckets import Buckets


def test_a_bucket_empties_and_refills():
    now = [1000.0]
    buckets = Buckets(60, lambda: now[0])
    assert [buckets.take("a", 3) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a", 3) == 20  # seconds: a third of the window
    assert buckets.take("b", 3) == 0, "each key has a bucket of its own"
    now[0] += 20
    assert buckets.take("a", 3) == 0
    assert buckets.take("a", 3) > 0
    now[0] += 10_000
    assert [buckets.take("a", 3) > 0 for _ in range(4)] == [False, False, False, True], "never more than full"


def test_being_refused_does_not_postpone_the_next_one():
    now = [0.0]
    buckets = Buckets(60, lambda: now[0])
    buckets.take("a", 1)
    for _ in range(59):
        now[0] += 1
        assert buckets.take("a", 1) > 0
    now[0] += 1.001
    assert buckets.take("a", 1) == 0

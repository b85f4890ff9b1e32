"""The token bucket of each client."""

from hypothesis import given
from hypothesis import strategies as st

from metrics.bucket import Buckets

RATE, BURST = 10.0, 5


@given(st.lists(st.integers(0, 400).map(lambda ms: ms / 1000), max_size=200))
def test_nobody_gets_more_than_the_burst_and_the_rate_and_everybody_gets_that(pauses: list[float]) -> None:
    now = 0.0
    buckets = Buckets(RATE, BURST, clients=10, clock=lambda: now)
    tokens = float(BURST)
    for pause in pauses:
        now += pause
        tokens = min(float(BURST), tokens + pause * RATE)
        wait = buckets.take("a")
        if abs(tokens - 1) > 1e-6:  # at the very edge either will do
            assert (wait == 0) == (tokens > 1)
            assert wait < 1 / RATE + 1e-9
        tokens -= wait == 0


@given(st.integers(0, 50))
def test_who_waits_as_long_as_told_gets_one(greed: int) -> None:
    now = 0.0
    buckets = Buckets(RATE, BURST, clients=10, clock=lambda: now)
    for _ in range(BURST):
        assert buckets.take("a") == 0
    waits = [buckets.take("a") for _ in range(1 + greed)]
    assert len(set(waits)) == 1, "who is refused is not refused for longer"
    now += waits[0] / 2
    assert buckets.take("a") > 0
    now += waits[0] / 2 + 1e-9
    assert buckets.take("a") == 0


def test_clients_do_not_share_and_the_latest_are_remembered() -> None:
    buckets = Buckets(RATE, 1, clients=2, clock=lambda: 0.0)
    assert [buckets.take(client) > 0 for client in "aabab"] == [False, True, False, True, True]
    assert buckets.take("c") == 0
    assert buckets.take("b") > 0
    assert buckets.take("a") == 0, "the longest silent is forgotten first"

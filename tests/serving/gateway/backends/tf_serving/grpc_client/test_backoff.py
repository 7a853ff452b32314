"""Delays between connection attempts."""

from serving.gateway.backends.tf_serving.grpc_client.backoff import Backoff


def test_delays_grow_to_a_maximum_and_start_again() -> None:
    backoff = Backoff()
    delays = [backoff.next() for _ in range(20)]
    assert 0.16 <= delays[0] <= 0.24
    assert all(0.8 <= delay <= 1.2 for delay in delays[5:])
    assert len(set(delays[5:])) > 1, "jitter keeps several gateways from connecting at the same moment"
    backoff.reset()
    assert backoff.next() <= 0.24

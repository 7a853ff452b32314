"""The faults of several hosts, one phase after the other, under a steady load."""

from tests.faults.cluster import SERVERS, Cluster


def run(cluster: Cluster, rate: float, requests: int) -> None:
    """Run every phase with at least this many requests. The cluster keeps the figures."""
    cluster.load(rate)
    cluster.client.wait_for_answers(10)
    with cluster.phase("no fault"):
        cluster.client.wait_for_answers(requests)
    with cluster.phase("a model server is killed"):
        cluster.kill("server-1")
        cluster.client.wait_for_answers(requests)
        cluster.start("server-1")
        cluster.wait_for_calls("server-1")
    with cluster.phase("a model server is cut off"):
        cluster.cut_off("server-2")
        cluster.client.wait_for_answers(requests)
        cluster.reconnect("server-2")
        cluster.wait_for_calls("server-2")
    with cluster.phase("a promoted version is missing on one server"):
        cluster.publish(2)
        cluster.client.wait_for_answers(2 * requests)
        cluster.publish(2, late=True)
        cluster.client.wait_for_version(2, requests)
    with cluster.phase("rolling update of all to a new version"):
        cluster.publish(3)
        cluster.publish(3, late=True)
        for name in SERVERS:
            cluster.restart(name)
        cluster.client.wait_for_version(3, requests)
    with cluster.phase("a gateway is killed"):
        cluster.kill("gateway-1")
        cluster.client.wait_for_answers(requests)

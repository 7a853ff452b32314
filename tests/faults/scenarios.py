"""What befalls the cluster, one phase after the other, under load all the while."""

from tests.faults.cluster import SERVERS, Cluster


def run(cluster: Cluster, rate: float, requests: int) -> None:
    """Every phase, each with at least so many requests; figures are added to the cluster's."""
    cluster.load(rate)
    cluster.wait_for_answers(10)
    with cluster.phase("nothing happens"):
        cluster.wait_for_answers(requests)
    with cluster.phase("a model server is killed"):
        cluster.kill("server-1")
        cluster.wait_for_answers(requests)
        cluster.start("server-1")
        cluster.wait_for_work("server-1")
    with cluster.phase("a model server is cut off"):
        cluster.cut_off("server-2")
        cluster.wait_for_answers(requests)
        cluster.reconnect("server-2")
        cluster.wait_for_work("server-2")
    with cluster.phase("a version is promoted that one has not"):
        cluster.publish(2)
        cluster.wait_for_answers(2 * requests)
        cluster.publish(2, late=True)
        cluster.wait_for_version(2, requests)
    with cluster.phase("all are rolled to a new version"):
        cluster.publish(3)
        cluster.publish(3, late=True)
        for name in SERVERS:
            cluster.restart(name)
        cluster.wait_for_version(3, requests)
    with cluster.phase("a gateway is killed"):
        cluster.kill("gateway-1")
        cluster.wait_for_answers(requests)

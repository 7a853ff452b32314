"""Faults of several hosts under load. ``python -m tests.faults`` prints figures."""

from pathlib import Path

import pytest

from tests.faults import several_hosts
from tests.faults.cluster import GATEWAYS, SERVERS, cluster
from tests.faults.network import NetworkError, network
from tests.system_packages import require

RATE = 22  # requests a second
REQUESTS = 60  # minimum in each phase


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    require("iproute2")
    try:
        with network("probe", names={}):
            pass
    except NetworkError as error:
        pytest.skip(str(error))


def test_no_fault_loses_a_request(tmp_path: Path) -> None:
    with cluster(tmp_path) as made:
        several_hosts.run(made, RATE, REQUESTS)
        unready = [name for name in GATEWAYS if "model shade: the model server" in made.output(name)]
    for one in made.figures:
        print(one)
    assert not unready  # an ingress would remove all gateways because of one server
    quiet, *faults, gateway_killed = made.figures
    assert all(share > 0.15 for share in quiet.shares.values())
    assert all(gateway_killed.shares[name] > 0.15 for name in SERVERS)  # a restarted server receives calls again
    assert gateway_killed.retried
    assert all(not one.retried for one in faults)
    for one in made.figures:
        assert one.sent >= REQUESTS
        assert not one.wrong, one.reasons
        assert not one.lost, one.reasons  # the gateway retries on another server


def test_hosts_are_removed() -> None:
    with network("first", "second", names={"both": ["first", "second"]}) as hosts:
        folder = Path("/etc/netns", hosts["first"].namespace)
        assert "10.77.0.2 both" in (folder / "hosts").read_text()
        with pytest.raises(NetworkError), network("first", names={}):
            pass
        assert Path("/run/netns", hosts["second"].namespace).exists()
    assert not folder.exists()
    assert not Path("/run/netns", hosts["second"].namespace).exists()

"""The component kueue admits the Jobs that `vitrine k8s job --queue` prints."""

import copy
import shutil

import jsonschema
import pytest

from tests.k8s import schemas_by_hand
from tests.k8s.test_manifests import K8S, Manifest, kustomize
from training.deploy import kubernetes
from training.deploy.kubernetes import Trainer

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is needed")


@pytest.fixture
def queues() -> dict[str, Manifest]:
    return {one["kind"]: copy.deepcopy(one) for one in kustomize(K8S / "components/kueue")}


def test_the_queue_leads_to_the_quota(queues: dict[str, Manifest]) -> None:
    assert queues.keys() == {"ResourceFlavor", "ClusterQueue", "LocalQueue"}
    for queue in queues.values():
        schemas_by_hand.validate(queue)
    cluster, local = queues["ClusterQueue"], queues["LocalQueue"]
    assert local["spec"]["clusterQueue"] == cluster["metadata"]["name"]
    selector = {"kubernetes.io/metadata.name": local["metadata"]["namespace"]}
    assert cluster["spec"]["namespaceSelector"] == {"matchLabels": selector}
    for group in cluster["spec"]["resourceGroups"]:
        for flavor in group["flavors"]:
            assert flavor["name"] == queues["ResourceFlavor"]["metadata"]["name"]
            assert [resource["name"] for resource in flavor["resources"]] == group["coveredResources"]


@pytest.mark.parametrize("gpu", [None, "nvidia.com/gpu"])
@pytest.mark.parametrize("workers", [1, 4])
def test_every_resource_of_a_job_has_a_quota(queues: dict[str, Manifest], gpu: str | None, workers: int) -> None:
    """Kueue never admits a Job with a resource that the queue does not cover."""
    local = queues["LocalQueue"]["metadata"]
    trainer = Trainer("trainer:1", gpu=gpu, queue=local["name"])
    work = kubernetes.job("cifar100_deep", [], trainer, workers=workers)[-1]
    assert work["metadata"]["namespace"] == local["namespace"]
    assert work["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == local["name"]
    # All pods or none: Kueue counts the parallelism of a suspended Job without a smaller minimum.
    assert work["spec"]["suspend"] and work["spec"].get("parallelism", 1) == workers
    assert "annotations" not in work["metadata"]
    (container,) = work["spec"]["template"]["spec"]["containers"]
    (group,) = queues["ClusterQueue"]["spec"]["resourceGroups"]
    for part in ("requests", "limits"):
        assert container["resources"][part].keys() <= {*group["coveredResources"]}


@pytest.mark.parametrize("kind", ["ClusterQueue", "LocalQueue"])
def test_the_schemas_by_hand_find_a_misspelt_field(queues: dict[str, Manifest], kind: str) -> None:
    queues[kind]["spec"]["cohorts"] = "all"
    with pytest.raises(jsonschema.ValidationError, match="cohorts"):
        schemas_by_hand.validate(queues[kind])

"""Check objects of projects whose CustomResourceDefinitions the tests lack: Kueue, KubeRay and PodMonitor.

The schemas are written by hand from their documentation and hold only the fields that k8s/ and examples/ use, so
they find misspelt, misplaced and missing fields, but do not replace the definitions. `kubectl apply --dry-run=server`
on a cluster with the operators does.
"""

from typing import Any

import jsonschema
import kubernetes_validate

Object = dict[str, Any]

_NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_QUANTITY = {"pattern": r"^\d+(\.\d+)?(m|[kMGTPE]i?)?$", "type": ["string", "integer"]}
_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def _fields(required: Object, optional: Object | None = None) -> Object:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def _list(items: Object) -> Object:
    return {"type": "array", "items": items, "minItems": 1}


_QUOTA = _fields({"name": {"type": "string"}, "nominalQuota": _QUANTITY})
_RESOURCE_GROUP = _fields(
    {
        "coveredResources": _list({"type": "string"}),
        "flavors": _list(_fields({"name": _NAME, "resources": _list(_QUOTA)})),
    }
)
_COUNT = {"type": "integer", "minimum": 0}
_GROUP = {"rayStartParams": _LABELS, "template": {"type": "object"}}
_WORKERS = _fields({"groupName": _NAME, "replicas": _COUNT, "minReplicas": _COUNT, "maxReplicas": _COUNT, **_GROUP})
_RAY_CLUSTER = _fields(
    {"rayVersion": {"type": "string"}, "headGroupSpec": _fields(_GROUP), "workerGroupSpecs": _list(_WORKERS)},
    {"authOptions": _fields({"mode": {"enum": ["disabled", "token"]}})},
)
_EXPRESSION = _fields({"key": {"type": "string"}, "operator": {"enum": ["In"]}, "values": _list(_NAME)})
_POD_ENDPOINT = _fields(
    {"port": _NAME, "path": {"type": "string"}, "interval": {"pattern": r"^\d+s$", "type": "string"}}
)
_PREEMPTION = {"enum": ["Never", "LowerPriority", "LowerOrNewerEqualPriority"]}
#: Schemas of ``spec`` by API version and kind.
_SPECS = {
    ("monitoring.coreos.com/v1", "PodMonitor"): _fields(
        {"selector": _fields({"matchExpressions": _list(_EXPRESSION)}), "podMetricsEndpoints": _list(_POD_ENDPOINT)}
    ),
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): _fields({}, {"nodeLabels": _LABELS}),
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): _fields({"clusterQueue": _NAME}),
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): _fields(
        {"namespaceSelector": _fields({}, {"matchLabels": _LABELS}), "resourceGroups": _list(_RESOURCE_GROUP)},
        {"preemption": _fields({}, {"withinClusterQueue": _PREEMPTION})},
    ),
    ("ray.io/v1", "RayJob"): _fields(
        {"entrypoint": {"type": "string"}, "rayClusterSpec": _RAY_CLUSTER},
        {
            "backoffLimit": _COUNT,
            "shutdownAfterJobFinishes": {"type": "boolean"},
            "ttlSecondsAfterFinished": _COUNT,
            "submitterPodTemplate": {"type": "object"},
        },
    ),
}


def is_known(manifest: Object) -> bool:
    """Return whether a schema of this kind exists."""
    return (manifest["apiVersion"], manifest["kind"]) in _SPECS


def validate(manifest: Object) -> None:
    """Check an object and the pod templates in it.

    Raises:
        jsonschema.ValidationError: The object does not match its schema.
        kubernetes_validate.ValidationError: A pod template is invalid.
    """
    assert manifest.keys() <= {"apiVersion", "kind", "metadata", "spec"}, manifest.keys()
    jsonschema.validate(manifest.get("spec", {}), _SPECS[manifest["apiVersion"], manifest["kind"]])
    for template in _templates(manifest.get("spec")):
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        kubernetes_validate.validate(pod, "1.34", strict=True)


def _templates(value: Any) -> list[Object]:
    if isinstance(value, list):
        return [found for item in value for found in _templates(item)]
    if not isinstance(value, dict):
        return []
    keys = ("template", "submitterPodTemplate")
    here = [value[key] for key in keys if key in value]
    return here + [found for key, item in value.items() if key not in keys for found in _templates(item)]

"""What NetworkPolicy objects allow, computed as the documentation of Kubernetes defines it.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

import ipaddress
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """One end of a connection: a pod, or an address outside of the cluster's pods.

    Attributes:
        name: how a test calls it.
        labels: labels of the pod.
        namespace: the pod's namespace; None for an address.
        namespace_labels: labels of the namespace besides its name.
        address: IP address of an end that is no pod.
        ports: container ports by name.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def labels_of_namespace(self) -> Mapping[str, str]:
        """All labels of the namespace; Kubernetes adds its name."""
        return {**self.namespace_labels, "kubernetes.io/metadata.name": self.namespace or ""}


def allowed(
    policies: Sequence[Manifest], ends: Sequence[Endpoint], ports: Sequence[tuple[str, int]]
) -> Iterator[tuple[str, str, str]]:
    """Yield each connection that both ends allow: names of source and target, and the target's port as ``TCP/8000``."""
    for source, target in itertools.permutations(ends, 2):
        for protocol, port in ports:
            if permits(policies, source, target, protocol, port):
                yield source.name, target.name, f"{protocol}/{port}"


def permits(policies: Sequence[Manifest], source: Endpoint, target: Endpoint, protocol: str, port: int) -> bool:
    """Whether the source may send and the target may receive."""

    def fits(ports: Sequence[Manifest] | None) -> bool:
        return _is_port(ports, target, protocol, port)

    return _passes(policies, "Egress", source, target, fits) and _passes(policies, "Ingress", target, source, fits)


def _passes(
    policies: Sequence[Manifest], direction: str, pod: Endpoint, other: Endpoint, fits: Callable[[Any], bool]
) -> bool:
    """Whether the policies that select ``pod`` allow ``other`` in this direction. Without a policy all is allowed."""
    selecting = [policy for policy in policies if _selects(policy, pod) and direction in _types(policy["spec"])]
    side, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return not selecting or any(
        _is_peer(rule.get(peers), other, policy["metadata"]["namespace"]) and fits(rule.get("ports"))
        for policy in selecting
        for rule in policy["spec"].get(side) or ()
    )


def _types(spec: Manifest) -> Sequence[str]:
    default = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    return list(spec.get("policyTypes", default))


def _selects(policy: Manifest, pod: Endpoint) -> bool:
    return pod.namespace == policy["metadata"]["namespace"] and matches(policy["spec"]["podSelector"], pod.labels)


def _is_peer(peers: Sequence[Manifest] | None, end: Endpoint, own: str) -> bool:
    return not peers or any(_is_one(peer, end, own) for peer in peers)


def _is_one(peer: Manifest, end: Endpoint, own: str) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return end.address is not None and (
            _contains(block["cidr"], end.address)
            and not any(_contains(one, end.address) for one in block.get("except", ()))
        )
    if end.namespace is None:
        return False
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], end.labels_of_namespace):
            return False
    elif end.namespace != own:
        return False
    return matches(peer.get("podSelector", {}), end.labels)


def _contains(network: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def _is_port(ports: Sequence[Manifest] | None, target: Endpoint, protocol: str, port: int) -> bool:
    if not ports:
        return True
    for one in ports:
        first = one.get("port", port)
        first = target.ports.get(first) if isinstance(first, str) else first
        last = one.get("endPort", first)
        if one.get("protocol", "TCP") == protocol and first is not None and first <= port <= last:
            return True
    return False


def matches(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches. The empty selector matches all labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", ()):
        value, values = labels.get(expression["key"]), expression.get("values", ())
        match expression["operator"]:
            case "In":
                fits = value in values
            case "NotIn":
                fits = value not in values
            case "Exists":
                fits = value is not None
            case "DoesNotExist":
                fits = value is None
        if not fits:
            return False
    return True

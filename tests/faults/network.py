"""Hosts on one machine: network namespaces, each with an address and /etc/hosts, connected by a switch.

The switch is a bridge in its own namespace, so that several runs do not interfere. Needs root and iproute2.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.programs import Program

_NETNS = Path("/etc/netns")  # `ip netns exec` mounts these files over those of /etc, see ip-netns(8)
_GET = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=20).read().decode())"


class NetworkError(Exception):
    """The machine cannot create network namespaces. The message says why."""


@dataclass(frozen=True)
class Host:
    """A namespace and its address."""

    namespace: str
    address: str

    def start(self, *arguments: str) -> Program:
        """Run Python on this host. ``ip`` executes the program, so that the process id is the program's."""
        return Program(["ip", "netns", "exec", self.namespace, sys.executable, *arguments])

    def get(self, url: str) -> str:
        """Get a URL from this host and return the body."""
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-S", "-c", _GET, url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def cut_off(self) -> None:
        """Drop all packets to and from this host, without an error to their senders."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def reconnect(self) -> None:
        _ip("-n", self.namespace, "link", "set", "eth0", "up")


@contextlib.contextmanager
def network(*hosts: str, names: Mapping[str, list[str]]) -> Iterator[dict[str, Host]]:
    """Create hosts that reach each other. Each of ``names`` resolves to several hosts, as with a headless service.

    Raises:
        NetworkError: The user is not root, iproute2 is missing, or the kernel refuses.
    """
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise NetworkError("network namespaces need root and iproute2")
    prefix = f"vitrine{os.getpid()}"
    made = {name: Host(f"{prefix}-{name}", f"10.77.0.{number}") for number, name in enumerate(hosts, start=1)}
    lines = [f"{made[host].address} {name}\n" for name, members in names.items() for host in members]
    switch = f"{prefix}-switch"
    with contextlib.ExitStack() as stack:
        _add(stack, switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for number, host in enumerate(made.values()):
            _etc(stack, host.namespace, lines)
            _add(stack, host.namespace)
            _ip("-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "eth0", "netns", host.namespace)
            _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.namespace, "link", "set", "eth0", "up")
            _ip("-n", host.namespace, "link", "set", "lo", "up")
        yield made


def _add(stack: contextlib.ExitStack, namespace: str) -> None:
    _ip("netns", "add", namespace)
    stack.callback(_ip, "netns", "delete", namespace)


def _etc(stack: contextlib.ExitStack, namespace: str, lines: list[str]) -> None:
    """Resolve names from the hosts file alone."""
    folder = _NETNS / namespace
    folder.mkdir(parents=True)
    stack.callback(_remove, folder)
    (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
    (folder / "resolv.conf").write_text("")
    (folder / "nsswitch.conf").write_text("hosts: files\n")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # fails while other runs have folders there


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NetworkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

"""Hosts on one machine: network namespaces on a switch of their own, each with its address and its own /etc/hosts.

Nothing of it is seen outside: the switch is a bridge in a namespace too, so that several runs may stand side by side.
Needs root and iproute2.
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

_NETNS = Path("/etc/netns")  # files here stand in for those of /etc in what `ip netns exec` starts; see ip-netns(8)
_GET = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=20).read().decode())"


class NetworkError(Exception):
    """No namespaces can be made here; the message says why."""


@dataclass(frozen=True)
class Host:
    """A namespace and its address."""

    namespace: str
    address: str

    def start(self, *arguments: str) -> Program:
        """``python -m …`` on this host. ``ip`` becomes the program, so that its process id is the program's own."""
        return Program(["ip", "netns", "exec", self.namespace, sys.executable, *arguments])

    def get(self, url: str) -> str:
        """What an HTTP address answers to this host."""
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-S", "-c", _GET, url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def cut_off(self) -> None:
        """Packets to and from it vanish: nobody hears a refusal."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def reconnect(self) -> None:
        _ip("-n", self.namespace, "link", "set", "eth0", "up")


@contextlib.contextmanager
def network(*hosts: str, names: Mapping[str, list[str]]) -> Iterator[dict[str, Host]]:
    """Hosts that reach each other. Each of ``names`` stands for the addresses of several, as a headless service does.

    Raises:
        NetworkError: not root, no iproute2, or a kernel that lets none be made.
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
    """Names come from the file alone: no resolver is asked."""
    folder = _NETNS / namespace
    folder.mkdir(parents=True)
    stack.callback(_forget, folder)
    (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(lines))
    (folder / "resolv.conf").write_text("")
    (folder / "nsswitch.conf").write_text("hosts: files\n")


def _forget(folder: Path) -> None:
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # only if nobody else's are there


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NetworkError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

"""What a machine must have for a real node, and how to get what Debian has."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

from videojob_local.errors import ProgramFailed
from videojob_local.programs import output_of
from videojob_local.real_node import cgroups

PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "catatonit": "catatonit",
    "netavark": "netavark",
    "iptables": "iptables",
    "containerd": "containerd",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""Program -> Debian package."""

NEEDED_GIB = 30
"""For the renderer's image: its layers in two stores, and what building and unpacking take meanwhile."""

_PROBE = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mount -t overlay -o lowerdir=/var/lib,upperdir={folder}/upper,workdir={folder}/work overlay /var/lib
ip link add probe type bridge
echo 1 >/proc/sys/net/ipv4/ip_forward
"""
"""A little of each thing that the node's namespace does; it ends with the namespace and leaves nothing."""

_CNI = Path("/usr/lib/cni/bridge")
_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/podman"]


def why_not() -> str | None:
    """Say in one sentence why this machine cannot run a real node; None where it can."""
    if not sys.platform.startswith("linux"):
        return "a real node needs Linux"
    if os.geteuid() != 0:
        return "a real node needs root"
    if missing_packages() and not shutil.which("apt-get"):
        return f"a real node needs {', '.join(missing_packages())}, and there is no apt-get to install them"
    return None


def missing_packages() -> list[str]:
    """Return the Debian packages whose programs are not there."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS])
    missing = {package for program, package in PROGRAMS.items() if not shutil.which(program, path=places)}
    if not _CNI.exists():
        missing.add("containernetworking-plugins")
    return sorted(missing)


def install_packages() -> None:
    """Install what is missing.

    Raises:
        ProgramFailed: apt-get's own words.
    """
    if missing := missing_packages():
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        output_of(["apt-get", "update", "-qq"], env=environment)
        options = ["-qq", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
        output_of(["apt-get", "install", *options, *missing], env=environment)


def what_is_forbidden(folder: Path) -> str | None:
    """Try what a real node does and a machine may forbid even to root; None where nothing is.

    Args:
        folder: on the disk where the node will be; it must not be there yet.
    """
    (folder / "upper").mkdir(parents=True)
    (folder / "work").mkdir()
    try:
        if (free_gib := shutil.disk_usage(folder).free / 2**30) < NEEDED_GIB:
            return f"a real node needs {NEEDED_GIB} GiB of disk, and {free_gib:.0f} are free"
        cgroups.make(folder.name)
        namespaces = ["--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        output_of(["unshare", *namespaces, "bash", "-c", _PROBE.format(folder=folder)])
        output_of(["iptables", "--version"])
    except (OSError, ProgramFailed) as error:
        return f"this machine does not let even root do what a real node does: {' '.join(str(error).split())}"
    finally:
        with contextlib.suppress(OSError):
            cgroups.remove(folder.name)
        shutil.rmtree(folder, ignore_errors=True)
    return None

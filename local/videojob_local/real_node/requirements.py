"""What a machine must have for a real node, and how to get what Debian has."""

import os
import shutil
import sys
from pathlib import Path

from videojob_local.programs import output_of

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

"""The settings of containerd, CNI, kubelet, kube-proxy and CoreDNS, and the first process of the node's namespace.

Several are there because a small virtual machine's root may lack CAP_SYS_RESOURCE, and because its cgroups may be of
version 1: those say so.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from videojob_local.real_node.network import Network

PAUSE_IMAGE = "localhost/videojob-pause:1"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the node keeps its things; not below /run, /var/lib or /var/log, which the namespace hides."""

    root: Path

    @property
    def settings(self) -> Path:
        """Configuration files."""
        return self.root / "etc"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd answers, to kubelet and `ctr`."""
        return self.root / "run/containerd.sock"

    @property
    def containers(self) -> Path:
        """Images and containers."""
        return self.root / "containerd"

    @property
    def volume_plugins(self) -> Path:
        """An empty folder: the usual one cannot be written everywhere."""
        return self.root / "run/volume-plugins"

    def make(self) -> None:
        """Make them all."""
        for name in ("etc/cni", "run", "containerd", "kubelet", "logs/pods", "overlay/upper", "overlay/work"):
            (self.root / name).mkdir(parents=True, exist_ok=True)


def containerd(folders: Folders) -> Path:
    """Write containerd's settings."""
    return _write(
        folders.settings / "containerd.toml",
        f"""\
version = 2
root = "{folders.containers}"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "{folders.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true # without CAP_SYS_RESOURCE a lower score is refused
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folders.settings / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
""",
    )


def cni(folders: Folders, network: Network) -> Path:
    """Write the network of the pods: a bridge, masqueraded towards the machine."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni-ipam",
            "ranges": [[{"subnet": network.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    content = {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}
    return _write(folders.settings / "cni/10-bridge.conflist", json.dumps(content, indent=1))


def kubelet(folders: Folders, network: Network, *, ca: Path, certificate: Path, key: Path) -> Path:
    """Write the kubelet's settings."""
    resolver = _write(folders.settings / "resolv.conf", "")
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node,
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "AlwaysAllow"},  # who has a certificate of this authority is the API server
        "containerRuntimeEndpoint": f"unix://{folders.containerd_socket}",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{network.name}",
        "oomScoreAdj": 0,  # without CAP_SYS_RESOURCE a lower score is refused
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "clusterDNS": [network.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        "podLogsDir": str(folders.root / "logs/pods"),
        "volumePluginDir": str(folders.volume_plugins),
        "maxPods": 60,
        "serializeImagePulls": False,
        "syncFrequency": "10s",
        "evictionHard": {
            "memory.available": "50Mi",
            **dict.fromkeys(("nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"), "0%"),
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
    return _write(folders.settings / "kubelet.json", json.dumps(content, indent=1))


def kube_proxy(folders: Folders, network: Network, *, kubeconfig: Path) -> Path:
    """Write the settings of kube-proxy, which may not touch the limits of the machine's connection tracking."""
    content = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "iptables",
        "clusterCIDR": network.pods,
        "hostnameOverride": network.name,
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return _write(folders.settings / "kube-proxy.json", json.dumps(content, indent=1))


def coredns(folders: Folders, network: Network, *, kubeconfig: Path) -> Path:
    """Write CoreDNS's settings: names of the cluster; of the rest of the world it knows nothing.

    The refusal stands in a block of its own: in the block of the cluster it would be asked first.
    """
    return _write(
        folders.settings / "Corefile",
        f"""\
cluster.local:53 in-addr.arpa:53 {{
    bind {network.node}
    errors
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig} videojob
        ttl 5
    }}
}}
.:53 {{
    bind {network.node}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
""",
    )


def first_process(folders: Folders, network: Network) -> Path:
    """Write the script that sets the namespace up and then waits for its end.

    The kubelet would write some settings of the whole kernel: it is shown files that hold its wishes already.
    """
    wishes = {
        "vm/overcommit_memory": 1,
        "vm/panic_on_oom": 0,
        "kernel/panic": 10,
        "kernel/panic_on_oops": 1,
        "kernel/keys/root_maxkeys": 1000000,
        "kernel/keys/root_maxbytes": 25000000,
    }
    shown = "\n".join(f"show {name} {value}" for name, value in wishes.items())
    overlay = folders.root / "overlay"
    return _write(
        folders.settings / "first-process.sh",
        f"""\
set -eu
mount --make-rshared /
mount -t tmpfs -o mode=755,size=256m tmpfs /run
mount -t tmpfs -o mode=755,size=64m tmpfs /var/log
mount -t overlay -o lowerdir=/var/lib,upperdir={overlay / "upper"},workdir={overlay / "work"} overlay /var/lib
mkdir -p /run/sysctl
show() {{
    file=/run/sysctl/$(echo "$1" | tr / _)
    echo "$2" >"$file"
    mount --bind "$file" "/proc/sys/$1"
}}
{shown}
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true # pod, Service and pod on one bridge
while ! ip link show {network.node_device} >/dev/null 2>&1; do sleep 0.05; done
ip addr add {network.node}/30 dev {network.node_device}
ip link set {network.node_device} up
ip route add default via {network.host}
touch {folders.root / "run/ready"}
exec catatonit -P
""",
    )


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path

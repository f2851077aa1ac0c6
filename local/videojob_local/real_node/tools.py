"""The Go programs of a real node, built like those of the control plane.

CoreDNS has a module of its own: it wants a newer client library than Kubernetes' own module pins.
"""

from videojob_local.binaries import Tool, ToolSet
from videojob_local.paths import GO_MODULE

_KUBERNETES = r"v1\.36\."

KUBELET = ToolSet(
    "node",
    "the kubelet",
    GO_MODULE,
    (
        Tool("kubelet", "k8s.io/kubernetes/cmd/kubelet", ("--version",), _KUBERNETES),
        Tool("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", ("--version",), _KUBERNETES),
    ),
    "2 to 4 minutes",
)
DNS = ToolSet(
    "dns", "CoreDNS", GO_MODULE / "dns", (Tool("coredns", ".", ("-version",), r"CoreDNS-1\.15"),), "2 minutes"
)

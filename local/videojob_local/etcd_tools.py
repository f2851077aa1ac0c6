"""etcd's own command lines, for snapshots, in the version of the control plane's etcd: built for who asks for them."""

from videojob_local.binaries import Tool, ToolSet
from videojob_local.paths import GO_MODULE

_VERSION = r"version: 3\.6\."
ETCD_TOOLS = ToolSet(
    "etcd",
    "etcd's command lines",
    GO_MODULE / "etcd",
    (
        Tool("etcdctl", "go.etcd.io/etcd/etcdctl/v3", ("version",), rf"etcdctl {_VERSION}"),
        Tool("etcdutl", "go.etcd.io/etcd/etcdutl/v3", ("version",), rf"etcdutl {_VERSION}"),
    ),
    "a minute",
)

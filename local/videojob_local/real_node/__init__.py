"""A real Kubernetes node on one Linux machine: containerd and the kubelet, in a namespace of their own.

The node joins the local control plane. All of it (processes, mounts, network, iptables) lives in one private process,
mount and network namespace, so that ending one process takes everything down and the machine stays as it was. It needs
root and Debian's packages; the end-to-end tests use it, `make demo` never does.
"""

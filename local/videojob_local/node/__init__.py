"""A Kubernetes node that runs Pods as local processes: no root, no containers, no virtual machine.

It registers a Node under the identity of a kubelet and runs every Pod that the scheduler binds to it as one process
group. Scheduling, Jobs, retries, RBAC and garbage collection stay Kubernetes' own. What a process cannot have is left
out: there is no isolation (Pods run as the user who started the node, and see that user's files), no memory limit, no
cluster network.
"""

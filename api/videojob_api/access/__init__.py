"""Who may do what: every request passes `gate` before any route sees it, unless its path is in the gate's short list.

Three ways to know a caller: not at all (`open_house`), by the keys of a file (`keys`), or by a token of the cluster and
the rights that it has there (`cluster_users`). Each is a `Guard`.
"""

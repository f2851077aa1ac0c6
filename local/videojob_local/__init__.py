"""A real control plane, an S3 server and a process node on one machine."""

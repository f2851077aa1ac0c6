"""Turns each VideoJob into a Kubernetes Job and keeps its status true."""

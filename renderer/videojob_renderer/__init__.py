"""Renders one VideoJob and uploads the video."""

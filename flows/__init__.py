"""Prefect flows over `pipeline`, and the `gesso` command."""

"""Fault runs: the real thing, broken on purpose while somebody watches, and judged afterwards."""

"""Servers of others: calls that fail in known ways, over connections that are kept."""

"""Chains: how fast their blocks come, how full they are, and whether all is well with them."""

"""Chains of the EVM kind: which there are, who serves them, and what stands in their blocks."""

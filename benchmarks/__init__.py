"""Benchmarks: one file per claim, each against its peer, correctness checked in the same run."""

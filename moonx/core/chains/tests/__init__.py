"""Tests of the chains."""

"""Stands in for the outside services where none is configured; what it says is made up."""

"""Dependency graphs drawn with text. Knows names and edges, nothing of jobs."""

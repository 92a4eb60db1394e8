"""Dependency graphs as mermaid flowcharts, for READMEs and pull requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def flowchart(needs: Mapping[str, Collection[str]]) -> str:
    """Return a flowchart; nodes are numbered, as names may be words that mermaid reserves."""
    ids = {name: f"n{position}" for position, name in enumerate(needs, 1)}
    lines = ["flowchart LR"]
    lines += [f'  {ids[name]}["{name}"]' for name in needs]
    lines += [f"  {ids[need]} --> {ids[name]}" for name in needs for need in needs[name]]
    return "\n".join(lines)

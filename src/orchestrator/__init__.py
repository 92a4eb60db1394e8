"""orchestrator: woken by callbacks, moves a run forward one atomic step at a time."""

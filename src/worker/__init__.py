"""worker: claims one order, runs its commands as real processes, reports their result."""

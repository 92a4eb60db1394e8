"""The ports in memory, by one name: what local runs and fast tests are built from."""

from __future__ import annotations

from src.local.memory_functions import (
    MemoryBuilds,
    MemoryPackager,
    MemorySecrets,
    MemoryWatchdogs,
    MemoryWorkers,
)
from src.local.memory_locks import MemoryLockStore
from src.local.memory_objects import (
    MemoryBuckets,
    MemoryCodeStore,
    MemoryObjectStore,
    MemoryUploads,
)
from src.local.memory_runs import MemoryRunStore

__all__ = [
    "MemoryBuckets",
    "MemoryBuilds",
    "MemoryCodeStore",
    "MemoryLockStore",
    "MemoryObjectStore",
    "MemoryPackager",
    "MemoryRunStore",
    "MemorySecrets",
    "MemoryUploads",
    "MemoryWatchdogs",
    "MemoryWorkers",
]

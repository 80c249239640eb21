"""What a large batch took is given back: left alone, an allocator keeps a good part of it.

glibc raises its thresholds to the largest block it has seen, 32 MB at most, and pyarrow has pools
of its own. Other allocators than glibc's are left as they are.
"""

import ctypes
import os

KEPT = 1_000_000  # bytes at the end of the heap, and of a block in it
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # as mallopt numbers them

_allocator = ctypes.CDLL(None)


def keep_little() -> None:
    """From now on, in this process; before pyarrow is imported."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if hasattr(_allocator, "mallopt"):
        _allocator.mallopt(TRIM_THRESHOLD, KEPT)
        _allocator.mallopt(MMAP_THRESHOLD, KEPT)


def give_back() -> None:
    """What is free between blocks in use; takes some milliseconds, and holds up nobody else."""
    if hasattr(_allocator, "malloc_trim"):
        _allocator.malloc_trim(0)

"""What a large batch took is given back: left alone, an allocator keeps a good part of it.

glibc raises its thresholds to the largest block it has seen, 32 MB at most, and pyarrow has pools
of its own. Other allocators than glibc's are left as they are.
"""

import ctypes
import os

MAX_RETAINED_BYTES = 1_000_000  # bytes at the end of the heap, and of a block in it
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as mallopt numbers them

_libc = ctypes.CDLL(None)


def limit_allocator_retention() -> None:
    """From now on, in this process; before pyarrow is imported."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(M_TRIM_THRESHOLD, MAX_RETAINED_BYTES)
        _libc.mallopt(M_MMAP_THRESHOLD, MAX_RETAINED_BYTES)


def trim_heap() -> None:
    """What is free between blocks in use; takes some milliseconds, and holds up nobody else."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)

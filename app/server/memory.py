"""Return the memory of a large batch to the kernel: left alone, an allocator keeps much of it.

glibc raises its thresholds to the largest block it has seen, 32 MB at most, and pyarrow has memory
pools of its own. Allocators other than glibc's are left as they are.
"""

import ctypes
import os

MAX_RETAINED_BYTES = 1_000_000  # bytes: free memory at the heap's end, and a block within the heap
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt's numbers for its parameters


def limit_allocator_retention() -> None:
    """Make glibc return freed blocks of 1 MB and more to the kernel.

    Holds for this process from now on. Call before pyarrow is imported, which then uses glibc too.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    libc = _load_libc()
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_TRIM_THRESHOLD, MAX_RETAINED_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, MAX_RETAINED_BYTES)


def trim_heap() -> None:
    """Return free memory between used blocks to the kernel.

    Takes some milliseconds; other threads go on meanwhile.
    """
    libc = _load_libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _load_libc() -> ctypes.CDLL:
    """Return the C library of this process, which may be another than glibc."""
    return ctypes.CDLL(None)

"""Code shared by several benchmarks: servers, load generators, request mutations."""

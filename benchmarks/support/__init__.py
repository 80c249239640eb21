"""What several benchmarks share: servers, load generators, request mutations."""

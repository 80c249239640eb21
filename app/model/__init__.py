"""The champion that a worker holds, and the process that copies it from the registry."""

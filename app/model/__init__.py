"""The champion that a worker serves, and the process that copies it from the registry."""

"""What needs the real servers; see `tools/stack`."""

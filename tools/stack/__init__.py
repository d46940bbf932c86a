"""The stack that operators run, as native processes: `make stack`."""

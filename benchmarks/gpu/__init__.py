"""What needs a GPU: `python -m benchmarks.gpu.check` builds, tests and measures on one."""

"""The core compiled for 64-bit Arm and run by qemu: the same sources with NEON's vectors."""

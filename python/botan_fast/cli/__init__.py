"""The command botan-fast: one file for each command; `entry` is the loop over them, `options` what they share."""

from .entry import main

__all__ = ["main"]

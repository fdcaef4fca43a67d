"""Damages a small whole file of every kind that the package reads, thousands of times, and reads each.

files      a whole file of each kind, and what reads it
mutations  the damage, decided by a seed
worker     a process that reads damaged files, one after the other
__main__   `python -m tests.fuzz --seed 0 --mutations 10000 [--format NAME ...]`: all kinds, with limits, and a report

A damaged file must be read, or refused by one line (`BotanFastError`), in a limited time and memory. Everything else,
a traceback, a message of two lines, a crash, a hang, is a finding; the files that cause one are kept.
"""

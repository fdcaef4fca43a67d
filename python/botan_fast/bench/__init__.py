"""What this machine could do, and what botan_fast does on it.

benchmark  the work of `botan-fast bench`
gpu        that of `botan-fast bench --device cuda`
machine    processor, memory, ceilings, clocks
clock      times, memory, CUDA graphs and ceilings of a device
floor      the arithmetic and traffic that nothing avoids
synthetic  configurations without a file
table      a result as a table
"""

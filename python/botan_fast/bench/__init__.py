"""What this machine could do, and what botan_fast does on it.

benchmark  the work of `botan-fast bench`
machine    processor, memory, ceilings, clocks
floor      the arithmetic and traffic that nothing avoids
synthetic  configurations without a file
table      a result as a table
"""

"""A plan becomes tasks, workers that do them, and a table.

manifest  the tasks of a sweep and its folders
"""

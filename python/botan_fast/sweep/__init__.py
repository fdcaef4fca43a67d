"""A plan becomes tasks, workers that do them, and a table.

plan       a TOML file, and the plans that come with the package
grid       the grid of a stage, and names of tasks
braces     texts with braces
values     what stands in braces
expansion  a plan becomes tasks
opening    the folder of a sweep
manifest   the tasks of a sweep and its folders
search     trials of Optuna as tasks
results    what the outputs of tasks say
table      the table of a sweep
"""

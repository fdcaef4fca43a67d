"""A plan becomes tasks, workers that do them, and a table.

plan       a TOML file, and the plans that come with the package
grid       the grid of a stage, and names of tasks
braces     texts with braces
values     what stands in braces
expansion  a plan becomes tasks
opening    the folder of a sweep
manifest   the tasks of a sweep and its folders
claims     who works on a task, on a disk that many share: the argument why that is safe
alive      this machine, and whether a process of it still lives
states     where every task stands
shares     which tasks are one worker's to do
child      the process that carries out a task
worker     one worker's life
seats      cores and GPUs of this machine for each worker of a pool
pool       several workers on this machine; `__main__` is one of them
status     how far a sweep is, for people and programs
search     trials of Optuna as tasks
results    what the outputs of tasks say
table      the table of a sweep
slurm_settings  what jobs of a cluster ask for
slurm      arrays of jobs, submitted through submitit
array_job  what one job does: workers, stopped in order before it is killed
"""

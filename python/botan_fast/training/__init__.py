"""Samples become a model.

loop           train: the loop on one page
preconditions  what must hold before a run begins
settings       the settings of a run: checks, record, comparison on resume
augmentation   random rotations
callbacks      progress bar, log lines, TensorBoard, a user's own
run_directory  the files of a run, and the state it continues from
"""

"""Samples become a model.

loop           train: the loop on one page
preconditions  what must hold before a run begins
settings       the settings of a run: checks, record, comparison on resume
samples        what the samples must be, and what is said about them
fingerprint    the targets of a run's data in a few numbers, for the comparison on resume
card           what a run says of its model
augmentation   random rotations
callbacks      progress bar, log lines, TensorBoard, a user's own
run_directory  the files of a run, and the state it continues from
"""

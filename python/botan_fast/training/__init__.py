"""Samples become a model.

loop           train: from its arguments to its result
result         TrainingResult: the model, its history, and their picture
options        the options of train and train_baseline
preparation    the data, and the model that learns from them
recipes        what the options are where nobody says otherwise
epochs         the loop on one page
learner        model, optimizer, and the average of weights: what an epoch changes
steps          the interface of an epoch's optimizer steps
eager          the steps one by one
captured       the steps as replays of a CUDA graph
engine         which of the two a run has, and why
objective      batches, and the loss on them
batches        batches made on the device, of fixed size
packing        all configurations end to end, on the device or streamed there
device_queue   streams, copies, events and graphs of CUDA
average        the moving average of weights
distributed    this process among several that train one model
connection     the wires between them
shared_steps   the steps that they take together
shares         the loss of a batch, each its share
settings       the settings of a run: checks, record, comparison on resume
samples        what the samples must be, and what is said about them
baseline       train_baseline: ridge regression on descriptors
ridge          sums over rows, their ridge regression, its penalty by leaving configurations out
features       what a model reads besides the graph
validation     configurations that are held back; early stopping
testing        scores along the run
fingerprint    the targets of a run's data in a few numbers, for the comparison on resume
card           what a run says of its model
augmentation   random rotations
callbacks      what may watch a run: the interface, functions, early stopping
watchers       the callbacks of a run together: their errors, and whether they end it
live           LiveCurve: the curves of a run while it goes on
progress       progress bar and log lines
loggers        TensorBoard, Weights & Biases
run_file       run.toml, the options of a run, to repeat it
run_directory  the files of a run, and the state it continues from
"""

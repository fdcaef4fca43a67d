"""A graph becomes a prediction; models on disk, of every origin.

botan          BOTAN, BOTANLayer, MLP
prediction     Prediction: what a model says about a graph
linear         LinearBaseline: ridge regression on what a network would read
ensemble       Ensemble: several models as one
shipped        weights that come with the package, by name
card           ModelCard: what a model was trained for
config         the configuration of a model, and the tensors that it implies
inputs         what the encoders read: columns of particles and edges, from a graph
topology       the index arrays of a graph, or of a list of edges, as ops.processor reads them
slabs          a large system cut into slabs along one axis
streaming      inference on large systems: message passing as a sweep over slabs
scales         means and widths of inputs and outputs: their fit to training data
checkpoint     load_model, save_model
published      weights that others published, in terms of ours
torch_file     a state_dict in a file of torch.save, read without running it
tf_checkpoint  TensorFlow checkpoints, read without TensorFlow
"""

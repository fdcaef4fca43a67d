"""A graph becomes a prediction; models on disk, of every origin.

botan          BOTAN, BOTANLayer, MLP, Prediction
card           ModelCard: what a model was trained for
config         the configuration of a model, and the tensors that it implies
checkpoint     load_model, save_model
published      weights that others published, in terms of ours
torch_file     a state_dict in a file of torch.save, read without running it
tf_checkpoint  TensorFlow checkpoints, read without TensorFlow
"""

"""Files and data sets become samples; the HDF5 data set. A configuration is read as a `Configuration`, written as a
`Record`, listed as an `Entry` and used as a `Sample`.

sample      Sample: graph and targets, made at once or on demand
build       from a Configuration to a Sample
sources     what a path, a pattern or a list names
selection   one temperature and time out of several
loading     load_samples
record      Record, TimeRecord: what is written
schema      the layout of the file, read without trusting it
output      the HDF5 file as it is written; a full disk
writer      DatasetWriter: a kill loses nothing finished
stored      Entry, and what makes the sample of one
dataset     Dataset: the file as a sequence of samples
conversion  convert: any readable files into one data set
"""

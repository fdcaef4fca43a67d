"""Files and data sets become samples; the HDF5 data set. A configuration is read as a `Configuration`, written as a
`Record`, listed as an `Entry` and used as a `Sample`.

sample      Sample: graph and targets, made at once or on demand
build       from a Configuration to a Sample
runs        files that hold one run each, and the pattern that joins them
sources     what a path, a pattern or a list names
selection   one temperature and time out of several
loading     load_samples
times       samples at several times become one
frames      every frame of a trajectory as a sample
field       the local displacement field of runs in files
extras      the inherent structure and the arrays of a configuration
structure   Structure, with_structure: what a model reads besides types and vectors
making      what makes a graph with structure, and remembers what took long
record      Record, TimeRecord: what is written
species     which name is type 0, which type 1
twins       configurations that are there twice
words       warnings on samples that are legal but rarely meant
schema      the layout of the file, read without trusting it
marks       the inputs that a data set was made of
output      the HDF5 file as it is written; a full disk
writer      DatasetWriter: a kill loses nothing finished
stored      Entry, and what makes the sample of one
dataset     Dataset: the file as a sequence of samples
inputs      the inputs of convert among each other: names, and what comes again
reading     how configurations of files and data sets become records
conversion  convert: any readable files into one data set
options     the options of convert, and those of all commands that read data
"""

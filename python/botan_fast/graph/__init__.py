"""Positions become a graph. Knows the compiled searches; everything it is given passes one door, `inputs`.

attributes   named arrays of the particles of a graph
build        build_graph, neighbor_list: the CPU or CUDA
crowding     pairs that do not fit, found before they are searched
graph        Graph, batch_graphs
images       minimum images of differences; vectors of edges at other positions
inputs       the one door: positions, types, box, cutoff, checked once
pairs        undirected pairs, and the graph that they make
rotation     random rotations
search_cpu   the search of the core on the CPU
search_cuda  the search on CUDA
unfolding    where particles lie, from the vectors of edges alone
"""

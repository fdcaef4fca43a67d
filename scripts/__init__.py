"""What is run by hand, from the root of the repository."""

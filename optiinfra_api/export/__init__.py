"""Downloads: the rows of a cost query as a file."""

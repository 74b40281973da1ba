"""The writing side: providers, collection, derived tables, Dagster definitions, embedded engines and the command line."""

import gc

# Loading our modules makes half a million objects that stay. At Python's threshold of 700 the search for garbage among them was 0.4 of the
# 1.74 s of CPU with which a process loads the definitions, and 0.2 of the 1.55 s of the API.
gc.set_threshold(50_000)

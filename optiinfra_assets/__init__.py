"""The writing side: providers, collection, derived tables, Dagster definitions, embedded engines and the command line."""

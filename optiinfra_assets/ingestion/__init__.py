"""The use cases: connect accounts, detect changes, collect slices, trigger collections."""

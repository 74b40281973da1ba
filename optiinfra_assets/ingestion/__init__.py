"""The use cases: connect accounts, detect changes, collect slices, ask for collections."""

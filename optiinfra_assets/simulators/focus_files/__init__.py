"""The sample customers' FOCUS files."""

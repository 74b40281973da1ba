"""Fields on collections, lineage and restatements."""

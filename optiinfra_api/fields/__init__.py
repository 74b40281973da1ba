"""The fields of the schema, one folder a subject."""

"""The fields of the schema, one folder for each subject."""

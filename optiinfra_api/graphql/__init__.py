"""The base of the schema: scalars, errors, validation rules, row execution."""

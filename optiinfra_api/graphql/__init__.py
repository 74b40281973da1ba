"""What the schema stands on: scalars, errors, validation rules, row execution."""

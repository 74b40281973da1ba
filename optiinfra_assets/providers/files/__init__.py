"""Files that hold costs: where they lie, how they are read, which of them count."""

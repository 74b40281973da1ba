"""Files that hold costs: where they are stored, how they are read, and which of them are used."""

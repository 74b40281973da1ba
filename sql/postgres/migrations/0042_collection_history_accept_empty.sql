-- accept_empty: a person confirmed that an empty source means no line items. Stored, so that a run that has to be asked for again keeps it.
ALTER TABLE optiinfra.collection_history ADD COLUMN accept_empty boolean NOT NULL DEFAULT false

-- Select list: what identifies a resource: its account and its id.
account_id AS account,
resource_id AS resource

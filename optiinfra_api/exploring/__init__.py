"""What a reader of costs looks at: periods, groups and filters, and the address of a page that has all of it."""

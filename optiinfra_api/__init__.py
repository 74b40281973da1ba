"""What reads: the GraphQL service over the published generations in ClickHouse."""

"""The GraphQL service that reads the published generations in ClickHouse."""

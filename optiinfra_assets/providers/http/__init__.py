"""One policy for requests to any provider: retries, metering, paging, endpoints, redaction."""

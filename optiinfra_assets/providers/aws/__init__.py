"""AWS: data exports in S3, and Cost Explorer."""

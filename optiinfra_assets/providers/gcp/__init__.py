"""Google Cloud: billing exports in BigQuery."""

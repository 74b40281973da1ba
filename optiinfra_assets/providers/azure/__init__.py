"""Azure: cost exports in Blob storage, and Cost Management's Query API."""

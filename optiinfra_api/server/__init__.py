"""The HTTP server: its connections, their limits, and the processes that answer."""

"""The routes of the service: GraphQL over HTTP and WebSocket, health, metrics."""

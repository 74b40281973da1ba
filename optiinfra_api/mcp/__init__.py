"""The Model Context Protocol: tools with which programs that talk to language models read costs."""

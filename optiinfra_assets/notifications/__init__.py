"""Tells people of what rules watch for: finds occasions, and sends their messages by webhook, Slack, Microsoft Teams and e-mail."""

"""The errors of this package. Every message is one line without secrets."""

from __future__ import annotations

from datetime import timedelta


class NotReceived(Exception):
    """A message was not received, or nobody knows whether it was.

    Attributes:
        wait: how long the server asks to wait, None if it does not.
    """

    def __init__(self, message: str, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class ChannelNotAccepted(ValueError):
    """A value of a channel is not accepted.

    Attributes:
        field: name of the field, empty if it is none of them.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field

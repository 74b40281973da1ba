"""The interface of what mutations answer when they did nothing."""

from __future__ import annotations

import strawberry


@strawberry.interface(description="Why nothing was done.")
class Refusal:
    code: str = strawberry.field(description="Stable, for programs.")
    message: str = strawberry.field(description="What is wrong, in one line.")
    remedy: str = strawberry.field(description="What to do.")

"""The GraphQL arguments that fields of several subjects share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

CustomerId = Annotated[
    str | None,
    strawberry.argument(
        description="The customer asked about. Default: the token's own; an administrator's token must name one."
    ),
]
AsOf = Annotated[
    datetime | None,
    strawberry.argument(description="Answer as it would have been at this instant (inclusive). Default: now."),
]
First = Annotated[int, strawberry.argument(description="How many rows at most, 1 to 1000.")]
After = Annotated[
    str | None, strawberry.argument(description="`endCursor` of the page before. Default: the first page.")
]
AccountId = Annotated[str, strawberry.argument(description="Account id of this platform.")]
ByProvider = Annotated[str | None, strawberry.argument(description="Only this provider. Default: all.")]
ByAccount = Annotated[str | None, strawberry.argument(description="Only this account id. Default: all.")]

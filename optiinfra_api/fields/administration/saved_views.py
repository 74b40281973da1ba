"""savedViews, saveView, removeSavedView: views of costs under names, for everybody who reads the data of the same customer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.exploring.state import checked_address
from optiinfra_api.fields.arguments import CustomerId
from optiinfra_api.fields.from_record import from_record
from optiinfra_api.fields.refusal import Refusal
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.metadata.saved_views import MOST_VIEWS, StoredView, ViewOfAnother
from optiinfra_assets.metadata.tokens import Principal


@strawberry.type(description="A view of costs that somebody saved.")
class SavedView:
    view_id: str = strawberry.field(description="Its id, for `saveView` and `removeSavedView`.")
    name: str = strawberry.field(description="What it is called; no other view of the customer is.")
    path: str = strawberry.field(description="Path and query of the page that shows it.")
    author_name: str = strawberry.field(description="Name of the token that saved it first.")
    saved_at: datetime = strawberry.field(description="When it was last saved.")
    can_change: bool = strawberry.field(
        description="The caller may replace and remove it: its author, and administrators."
    )

    @classmethod
    def of(cls, view: StoredView, principal: Principal) -> SavedView:
        """Make one from its record, as `principal` sees it."""
        return from_record(cls, view, can_change=view.is_changed_by(principal) and not principal.is_read_only)


@strawberry.type(description="The saved views of a customer, by name.")
class SavedViews:
    nodes: list[SavedView] = strawberry.field(description=f"All of them, at most {MOST_VIEWS}.")


@strawberry.type(description="The view is saved.")
class ViewSaved:
    view: SavedView = strawberry.field(description="As it is now.")


@strawberry.type(description="The view is removed.")
class ViewRemoved:
    view: SavedView = strawberry.field(description="As it was.")


@strawberry.type(description="There is no such view of this customer.")
class ViewNotFound(Refusal):
    pass


@strawberry.type(
    description="The name or the path is not accepted, there are too many views, or somebody else saved this one."
)
class ViewNotAccepted(Refusal):
    pass


SaveResult = Annotated[
    ViewSaved | ViewNotFound | ViewNotAccepted,
    strawberry.union("SaveViewResult", description="The view, or why it is not saved."),
]
RemoveResult = Annotated[
    ViewRemoved | ViewNotFound | ViewNotAccepted,
    strawberry.union("RemoveSavedViewResult", description="What the view was, or why it stays."),
]
Name = Annotated[
    str,
    strawberry.argument(description="What it is called, at most 100 characters. A view with that name is replaced."),
]
Path = Annotated[
    str,
    strawberry.argument(
        description="Path and query of the page that shows it, such as `/explore?period=last-month&group=REGION`."
    ),
]
ReplacedId = Annotated[
    str | None,
    strawberry.argument(description="The view to rename or replace. Default: that of this name, or a new one."),
]
ViewId = Annotated[str, strawberry.argument(description="As `savedViews` shows it.")]


@strawberry.type
class SavedViewsQuery:
    @resolved("The views of costs that people saved for this customer.")
    async def saved_views(self, info: Info, customer_id: CustomerId = None) -> SavedViews | None:
        data = await info.context.data_of(customer_id)
        found = await data.read(data.services.metadata.saved_views.find)
        return SavedViews(nodes=[SavedView.of(one, info.context.principal) for one in found])


@strawberry.type
class SavedViewsMutation:
    @resolved("Save a view of costs under a name, for everybody who reads the data of this customer.")
    async def save_view(
        self, info: Info, name: Name, path: Path, view_id: ReplacedId = None, customer_id: CustomerId = None
    ) -> SaveResult | None:
        try:
            address = checked_address(path, datetime.now(UTC).date())
            save = info.context.services.metadata.saved_views.save
            return ViewSaved(view=await _changed(info, customer_id, save, name, address, view_id))
        except (ValueError, RecordNotFound, ViewOfAnother) as error:
            return _refusal(error)

    @resolved("Remove a saved view; for its author and for administrators.")
    async def remove_saved_view(
        self, info: Info, view_id: ViewId, customer_id: CustomerId = None
    ) -> RemoveResult | None:
        try:
            remove = info.context.services.metadata.saved_views.remove
            return ViewRemoved(view=await _changed(info, customer_id, remove, view_id))
        except (RecordNotFound, ViewOfAnother) as error:
            return _refusal(error)


async def _changed(info: Info, customer_id: str | None, change: Any, *args: Any) -> SavedView:
    """Make a change for the caller, who is named in the audit log, and return the view."""
    info.context.require_may_change()
    customer = (await info.context.data_of(customer_id)).customer_id
    administration = await info.context.administration_of(customer)
    principal = info.context.principal
    return SavedView.of(await administration.act(change, *args, customer_id=customer, principal=principal), principal)


def _refusal(error: Exception) -> ViewNotFound | ViewNotAccepted:
    if isinstance(error, RecordNotFound):
        return ViewNotFound(code="VIEW_NOT_FOUND", message=str(error), remedy="Use a viewId that `savedViews` shows.")
    if isinstance(error, ViewOfAnother):
        remedy = "Save under another name, or ask who saved it or an administrator."
        return ViewNotAccepted(code="VIEW_OF_ANOTHER", message=str(error), remedy=remedy)
    return ViewNotAccepted(code="VIEW_NOT_ACCEPTED", message=str(error), remedy="Change what the message names.")

"""The views of costs that are saved for a customer: asked for, saved and removed by Explore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from optiinfra_api.web.sign_in import read_form
from optiinfra_api.web.visit import Visit

VIEWS: Final = """query SavedViews($customer: String) {
  savedViews(customerId: $customer) { nodes { viewId name path authorName savedAt canChange } }
}"""
SAVE: Final = """mutation SaveView($customer: String, $name: String!, $path: String!, $view: String) {
  saveView(customerId: $customer, name: $name, path: $path, viewId: $view) {
    ... on ViewSaved { view { viewId name path authorName savedAt canChange } }
    ... on ViewNotFound { message remedy }
    ... on ViewNotAccepted { message remedy }
  }
}"""
REMOVE: Final = """mutation RemoveView($customer: String, $view: String!) {
  removeSavedView(customerId: $customer, viewId: $view) {
    ... on ViewRemoved { view { viewId } }
    ... on ViewNotFound { message remedy }
    ... on ViewNotAccepted { message remedy }
  }
}"""


@dataclass(frozen=True, slots=True)
class Views:
    """The saved views, each with its `link`.

    Attributes:
        opened: that which the address names, if there is one; its reader may have changed what is seen since.
        name: what the form offers to save it as.
    """

    nodes: list[dict[str, Any]]
    opened: dict[str, Any] | None
    name: str


async def listed(visit: Visit, opened_id: str, sent: str) -> Views:
    """Ask for the views.

    Args:
        opened_id: the view that the address names; empty: none.
        sent: a name that was not accepted; empty: none was sent.
    """
    found = (await visit.ask(VIEWS, customer=visit.customer_id)).get("savedViews") or {}
    nodes = [{**one, "link": _link(visit, one)} for one in found.get("nodes", [])]
    opened = next((one for one in nodes if one["viewId"] == opened_id), None)
    return Views(nodes, opened, sent or (opened["name"] if opened else ""))


async def save(visit: Visit) -> tuple[str | None, str]:
    """Save what the address shows as the form says; return where it is seen, None if it was refused, and the name in the form."""
    sent = await read_form(visit.request)
    name = sent.get("name", "").strip()
    path = f"/explore?{visit.request.url.query}"
    asked = {"customer": visit.customer_id, "name": name, "path": path, "view": sent.get("replaces") or None}
    answer: dict[str, Any] = (await visit.ask(SAVE, **asked)).get("saveView") or {}
    if "view" in answer:
        return _link(visit, answer["view"]), name
    if answer:
        visit.problems.append(answer)
    return None, name


async def remove(visit: Visit) -> bool:
    """Remove the view that the form names; return whether it is gone."""
    view = (await read_form(visit.request)).get("view", "")
    answer: dict[str, Any] = (await visit.ask(REMOVE, customer=visit.customer_id, view=view)).get(
        "removeSavedView"
    ) or {}
    if "message" in answer:
        visit.problems.append(answer)
    return "view" in answer


def _link(visit: Visit, view: dict[str, Any]) -> str:
    path, _, query = str(view["path"]).partition("?")
    chosen = visit.link(path, view=view["viewId"])
    return f"{chosen}&{query}" if query else chosen

"""GraphiQL, the editor of GraphQL documents, from our own origin."""

from __future__ import annotations

from starlette.responses import Response

from optiinfra_api.web.assets import ASSETS
from optiinfra_api.web.pages import EDITOR_POLICY, page


def show() -> Response:
    """Answer its page; where its package could not be had, one that says so."""
    return page("graphiql", "GraphiQL", policy=EDITOR_POLICY, has_editor=ASSETS.has("graphiql.js"))

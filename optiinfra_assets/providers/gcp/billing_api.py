"""Reads billing accounts and their projects from Google's Cloud Billing API. The API is free and has no costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from google.cloud.billing_v1 import CloudBillingClient
from google.cloud.billing_v1.services.cloud_billing.transports.rest import CloudBillingRestTransport

from optiinfra_assets.providers.gcp.auth import SECONDS, GoogleSession
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.urllib3_transport import guard

VIEWER: Final = "roles/billing.viewer on the billing account (billing.accounts.get)"
PAGE: Final = 100


class CloudBilling:
    """The billing accounts that a credential may view."""

    def __init__(self, access: GoogleSession, client: CloudBillingClient) -> None:
        self._access = access
        self._client = client

    @classmethod
    @contextmanager
    def opened(cls, access: GoogleSession, endpoint: str | None) -> Iterator[CloudBilling]:
        """Opens a client over HTTP, at Google's address or at `endpoint`."""
        address = urlsplit(endpoint or "https://cloudbilling.googleapis.com")
        transport = CloudBillingRestTransport(
            host=address.netloc, credentials=access.credentials, url_scheme=address.scheme
        )
        guard(transport._session)
        with CloudBillingClient(transport=transport) as client:
            yield cls(access, client)

    def account_name(self, account_id: str) -> str:
        """Returns the display name of a billing account.

        Raises:
            CredentialRejected: the credential may not view the account.
            ProviderError: the API could not be reached or refused the request.
        """
        where = f"billingAccounts/{account_id}"
        with self._access.translated(where, VIEWER):
            found = self._client.get_billing_account(
                name=where, retry=self._access.patience(where, VIEWER), timeout=SECONDS
            )
            return found.display_name

    def accounts(self) -> dict[str, str]:
        """Returns the names of all billing accounts that the credential may view, by id.

        Raises:
            ProviderError: the accounts could not be listed.
        """
        where = "billingAccounts"

        def read(token: str | None) -> Page[tuple[str, str]]:
            with self._access.translated(where, VIEWER):
                pager = self._client.list_billing_accounts(
                    request={"page_size": PAGE, "page_token": token or ""},
                    retry=self._access.patience(where, VIEWER),
                    timeout=SECONDS,
                )
                page = next(pager.pages)
            names = [(one.name.removeprefix("billingAccounts/"), one.display_name) for one in page.billing_accounts]
            return Page(names, page.next_page_token)

        return dict(items(read, where, may_be_empty=True))

    def projects(self, account_id: str) -> list[str]:
        """Returns the ids of the projects that a billing account pays for.

        Raises:
            CredentialRejected: the credential may not list them.
            ProviderError: the projects could not be listed.
        """
        where = f"billingAccounts/{account_id}/projects"

        def read(token: str | None) -> Page[str]:
            with self._access.translated(where, VIEWER):
                pager = self._client.list_project_billing_info(
                    request={
                        "name": f"billingAccounts/{account_id}",
                        "page_size": PAGE,
                        "page_token": token or "",
                    },
                    retry=self._access.patience(where, VIEWER),
                    timeout=SECONDS,
                )
                page = next(pager.pages)
            return Page([one.project_id for one in page.project_billing_info], page.next_page_token)

        return list(items(read, where, may_be_empty=True))

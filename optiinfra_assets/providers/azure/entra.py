"""Sign-in at Microsoft Entra ID, and one policy for every client of that vendor's SDK: time-outs, counting, retries, refusals.

What a provider writes::

    service = Service(access, context, meter)
    with CostManagementClient(service.credential, endpoint, **service.options()) as client:
        body = service.ask("POST query", "role Cost Management Reader", lambda: client.query.usage(...))

The SDK's own retries are off: they know none of the waiting headers of Cost Management, and wait where nobody counts. Sign-in goes the same
way, from inside a client's pipeline, so that a refused secret and an overloaded sign-in service are told apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from optiinfra_assets.domain.errors import ContractChanged, CredentialRejected, Transient
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.endpoint_policy import is_loopback
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.http.retry import PATIENCE, RetryableError, error_for_status, with_retries

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenCredential
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 60
_OVERLOADED: Final = frozenset({408, 425, 429})

_T = TypeVar("_T")
Explain = Callable[[int, str], Exception | None]


@dataclass(frozen=True, slots=True)
class EntraCredential:
    """Who signs in, and where.

    Attributes:
        tenant_id: directory of the application; None, with the two below: whoever this machine is.
        authority: address of the sign-in service; None: that of the public cloud.
        ca_file: certificates to trust instead of the usual ones.
    """

    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    authority: str | None = None
    ca_file: str | None = None

    @property
    def secrets(self) -> list[str]:
        """What must stand in no message."""
        return [self.client_secret.get_secret_value()] if self.client_secret else []


def longest_wait(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """The latest instant that any header ending in ``retry-after`` names: each limit has its own, and all must have passed."""
    waits = (
        retry_after({"retry-after": value}, now)
        for name, value in headers.items()
        if name.lower().endswith("retry-after")
    )
    return max((wait for wait in waits if wait is not None), default=None)


class EntraSession:
    """What the clients of one call of a provider share."""

    def __init__(
        self, access: EntraCredential, context: ProviderContext, meter: Meter, patience: float = PATIENCE
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            access: who signs in.
            context: its clock and its sleep.
            meter: counts every request, those of the sign-in among them.
            patience: seconds one request may spend waiting before its tries.
        """
        self.meter = meter
        self.hide = redactor(access.secrets)
        self._access = access
        self._context = context
        self._patience = patience
        self.credential: Any = _SignIn(self)

    def options(self, address: str) -> dict[str, Any]:
        """Keyword arguments of an SDK client for `address`."""
        return {
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "connection_verify": self._access.ca_file or True,
            "use_env_settings": not is_loopback(urlsplit(address).hostname or ""),
            "retry_total": 0,
            "permit_redirects": False,
            "raw_request_hook": lambda request: self.meter.count(),
        }

    def ask(
        self,
        where: str,
        permission: str,
        attempt: Callable[[], _T],
        *,
        explain: Explain = lambda status, said: None,
    ) -> _T:
        """What `attempt` returns: one request, or a few that may be sent again together.

        Args:
            where: what is asked, for messages.
            permission: what the credential needs for it, named if it is refused.
            attempt: calls the SDK.
            explain: gives what to raise for a status and the service's own words, where that is another error than usual.

        Raises:
            ProviderError: as the table in ``http.py``, but for `explain`.
        """
        from azure.core.exceptions import AzureError, HttpResponseError

        def try_once() -> _T:
            try:
                return attempt()
            except HttpResponseError as error:
                raise self._refused(error, where, permission, explain) from None
            except AzureError as error:
                said = self.hide(_first_line(str(error.message)))
                raise RetryableError(Transient(f"{where}: no answer: {said}; try again later")) from None

        return with_retries(try_once, self._context.sleep, self._patience)

    def _refused(self, error: HttpResponseError, where: str, permission: str, explain: Explain) -> Exception:
        status = error.status_code
        if status is None or status < 300:
            return self._broken(error, where)
        said = self.hide(_said(error))
        return explain(status, said) or self.refusal(status, _headers(error), where, said, permission)

    def refusal(self, status: int, headers: Mapping[str, str], where: str, said: str, permission: str) -> Exception:
        """What to raise for a status that is not a success."""
        now = self._context.clock()
        return error_for_status(status, where, said, permission, until=longest_wait(headers, now), now=now)

    def _broken(self, error: HttpResponseError, where: str) -> Exception:
        """A success whose body the SDK could not read: cut off, which passes, or the page of a proxy, which does not."""
        text = ""
        with suppress(Exception):  # of an answer that broke off there may be no text
            text = error.response.text() if error.response else ""
        if "<html" in text[:1_000].lower():
            return ContractChanged(f"{where}: data were expected, not a web page; {ASK_FOR_UPDATE}")
        return RetryableError(Transient(f"{where}: the answer broke off; try again later"))


class _SignIn:
    """A credential for SDK clients: the vendor's own, its errors turned into ours. Requested tokens live as long as this."""

    def __init__(self, service: EntraSession) -> None:
        self._service = service
        self._made: Any = None
        self._answered: tuple[int, Mapping[str, str]] | None = None

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token for `scopes`."""
        token: AccessToken = self._ask(lambda credential: credential.get_token(*scopes, **options))
        return token

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        """A token for `scopes`, with more about it."""
        token: AccessTokenInfo = self._ask(lambda credential: credential.get_token_info(*scopes, options=options))
        return token

    def _ask(self, request: Callable[[Any], Any]) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        self._made = self._made or self._make()
        self._answered = None
        try:
            return request(self._made)
        except ClientAuthenticationError as error:
            # It remembers failures for a minute and would answer another try with them.
            self._made = None
            raise self._refused(error) from None

    def _make(self) -> TokenCredential:
        """A client secret if there is one, else the chain: environment, workload identity, managed identity, the `az` login."""
        from azure.identity import ClientSecretCredential, DefaultAzureCredential

        access = self._service._access
        options = {**self._service.options(access.authority or ""), "raw_response_hook": self._note}
        if access.authority:
            # The well-known list of sign-in services has none of a private cloud; whoever connects has named this one.
            options |= {"authority": access.authority, "disable_instance_discovery": True}
        if access.tenant_id and access.client_id and access.client_secret:
            secret = access.client_secret.get_secret_value()
            return ClientSecretCredential(access.tenant_id, access.client_id, secret, **options)
        return DefaultAzureCredential(**options)

    def _note(self, response: Any) -> None:
        self._answered = (response.http_response.status_code, dict(response.http_response.headers))

    def _refused(self, error: ClientAuthenticationError) -> Exception:
        """The SDK calls everything that keeps it from a token an authentication error, a broken connection too."""
        from azure.core.exceptions import DecodeError, ServiceRequestError, ServiceResponseError

        where = f"sign-in at {self._service._access.authority or 'Microsoft Entra ID'}"
        said = self._service.hide(_first_line(str(error.message)))
        status, headers = self._answered or (None, {})
        if status is not None and (status in _OVERLOADED or status >= 500):
            return self._service.refusal(status, headers, where, "", "")
        causes = (error.__cause__, error.__context__)
        if any(isinstance(cause, ServiceRequestError | ServiceResponseError | DecodeError) for cause in causes):
            return RetryableError(Transient(f"{where}: no answer: {said}; try again later"))
        if status is not None and status < 300:
            return RetryableError(Transient(f"{where}: the answer broke off; try again later"))
        return CredentialRejected(
            f"{where}: the credential is not accepted ({said[:300]}); connect again with a valid tenant_id, client_id and client_secret"
        )


def _said(error: HttpResponseError) -> str:
    """The service's own words, one line: code and message of a JSON error, or the code of a storage error. Never a whole body."""
    code = getattr(error, "error_code", None)
    if code:
        return str(getattr(code, "value", code))
    with suppress(Exception):
        found = json.loads(error.response.text())["error"]  # type: ignore[union-attr]
        return _first_line(f"{found['code']}: {found['message']}")
    return str(error.reason or "")


def _headers(error: HttpResponseError) -> dict[str, str]:
    return dict(getattr(error.response, "headers", {}))


def _first_line(text: str) -> str:
    return next(iter(_lines(text)), "")


def _lines(text: str) -> Iterable[str]:
    return (line.strip() for line in text.splitlines() if line.strip())

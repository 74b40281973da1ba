"""Signs in at Microsoft Entra ID, and applies one policy to all clients of the Azure SDK: time-outs, request counts, retries, errors.

A provider writes::

    session = EntraSession(access, context, meter)
    with CostManagementClient(session.credential, endpoint, **session.options(endpoint)) as client:
        body = session.ask("POST query", "role Cost Management Reader", lambda: client.query.usage(...))

The SDK's own retries are off: they do not read Cost Management's waiting headers, and nobody counts their waits. Sign-in follows the
same policy inside a client's pipeline, so a rejected secret and an overloaded sign-in service raise different errors.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from optiinfra_assets.domain.errors import CredentialRejected
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.endpoint_policy import is_loopback
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.http.retry import PATIENCE, RetryableError, error_for_status, refusal_in, with_retries
from optiinfra_assets.providers.http.translation import (
    broken_off,
    clock_error,
    is_web_page,
    no_answer,
    not_theirs,
    web_page,
)
from optiinfra_assets.providers.http.urllib3_transport import guarded_session
from optiinfra_assets.providers.network_policy import NOT_LENT

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenCredential
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
    from azure.core.pipeline.transport import RequestsTransport

CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 60
_ABOUT_THE_CREDENTIAL: Final = frozenset({400, 401, 403})

_T = TypeVar("_T")
Explain = Callable[[int, str], Exception | None]


@dataclass(frozen=True, slots=True)
class EntraCredential:
    """The application that signs in, and the sign-in service.

    Attributes:
        tenant_id: directory of the application; None, with the next two, uses the default chain of this machine.
        authority: address of the sign-in service; None for the public cloud's.
        ca_file: file of certificates to trust instead of the usual ones.
    """

    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    authority: str | None = None
    ca_file: str | None = None

    @property
    def secrets(self) -> list[str]:
        """Secret values, which no message may contain."""
        return [self.client_secret.get_secret_value()] if self.client_secret else []


def longest_wait(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Returns the latest instant that any header ending in ``retry-after`` names: each limit has its own, and all must have passed."""
    waits = (
        retry_after({"retry-after": value}, now)
        for name, value in headers.items()
        if name.lower().endswith("retry-after")
    )
    return max((wait for wait in waits if wait is not None), default=None)


class EntraSession:
    """The sign-in, the policy and the meter that all clients of one provider call share."""

    def __init__(
        self, access: EntraCredential, context: ProviderContext, meter: Meter, patience: float = PATIENCE
    ) -> None:
        """Stores the arguments; sends no request.

        Args:
            access: credential to sign in with.
            context: gives the clock and the sleep.
            meter: counts every request, including those of the sign-in.
            patience: seconds that one request may spend waiting between its tries.
        """
        self.meter = meter
        self.hide = redactor(access.secrets)
        self.note = context.leave_out
        self._access = access
        self.context = context
        self._patience = patience
        self.credential: Any = _SignIn(self)

    def options(self, address: str) -> dict[str, Any]:
        """Returns the keyword arguments of an SDK client for `address`."""
        return {
            "transport": self._transport(address),
            "retry_total": 0,
            "permit_redirects": False,
            "raw_request_hook": lambda request: self.meter.count(),
        }

    def _transport(self, address: str) -> RequestsTransport:
        from azure.core.pipeline.transport import RequestsTransport

        # Proxies of the environment are not for this machine itself.
        session = guarded_session(trust_env=not is_loopback(urlsplit(address).hostname or ""))
        return RequestsTransport(
            session=session,
            connection_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            connection_verify=self._access.ca_file or True,
        )

    def ask(
        self,
        where: str,
        permission: str,
        attempt: Callable[[], _T],
        *,
        explain: Explain = lambda status, said: None,
    ) -> _T:
        """Returns what `attempt` returns. `attempt` makes one request, or a few that may be repeated together.

        Args:
            where: what is requested, for messages.
            permission: permission that the credential needs; the error names it if the service refuses.
            attempt: calls the SDK.
            explain: from a status and the service's own message, returns the error to raise instead of the usual one, or None.

        Raises:
            ProviderError: as the table in `optiinfra_assets.providers.http.client`, unless `explain` returns another error.
        """
        from azure.core.exceptions import AzureError, HttpResponseError

        def try_once() -> _T:
            try:
                return attempt()
            except HttpResponseError as error:
                raise self._refused(error, where, permission, explain) from None
            except json.JSONDecodeError as error:
                raise _unreadable(error.doc, where) from None
            except (AttributeError, TypeError, ValueError):
                raise not_theirs(where) from None
            except AzureError as error:
                if refusal := refusal_in(error):
                    raise refusal from None
                raise RetryableError(no_answer(where, self._told(_first_line(str(error.message))))) from None

        return with_retries(try_once, self.context, where, self._patience)

    def _told(self, said: str) -> str:
        return self.context.network.quoted(self.hide(said))

    def _refused(self, error: HttpResponseError, where: str, permission: str, explain: Explain) -> Exception:
        status = error.status_code
        if status is None or status < 300:
            return self._broken(error, where)
        said = self._told(_said(error))
        return explain(status, said) or self.refusal(status, _headers(error), where, said, permission)

    def refusal(self, status: int, headers: Mapping[str, str], where: str, said: str, permission: str) -> Exception:
        """Returns the error for a status that is not a success."""
        now = self.context.clock()
        return error_for_status(status, where, said, permission, until=longest_wait(headers, now), now=now)

    def _broken(self, error: HttpResponseError, where: str) -> Exception:
        """Returns the error for a success whose body the SDK cannot read."""
        return _unreadable(_body(error), where)


class _SignIn:
    """A credential for SDK clients. It wraps the SDK's own, converts its errors to ours, and keeps the tokens as long as it lives."""

    def __init__(self, service: EntraSession) -> None:
        self._service = service
        self._made: Any = None
        self._answered: tuple[int, Mapping[str, str]] | None = None

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Returns a token for `scopes`."""
        token: AccessToken = self._ask(lambda credential: credential.get_token(*scopes, **options))
        return token

    def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        """Returns a token for `scopes`, with its metadata."""
        token: AccessTokenInfo = self._ask(lambda credential: credential.get_token_info(*scopes, options=options))
        return token

    def _ask(self, request: Callable[[Any], Any]) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        self._made = self._made or self._make()
        self._answered = None
        try:
            return request(self._made)
        except OSError as error:
            said = self._service.hide(str(error))
            raise CredentialRejected(
                f"sign-in: {said}: check the files that the credential of this machine names"
            ) from None
        except json.JSONDecodeError as error:
            raise _unreadable(error.doc, "sign-in") from None
        except ClientAuthenticationError as error:
            # The SDK's credential remembers a failure for a minute and would answer the next try with it.
            self._made = None
            raise self._refused(error) from None

    def _make(self) -> TokenCredential:
        """Uses the client secret if there is one, else the chain: environment, workload identity, managed identity, the `az` login."""
        from azure.identity import ClientSecretCredential, DefaultAzureCredential

        # Its warnings repeat what the sign-in service said, with secrets that it repeats; our errors say the same without them.
        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
        access = self._service._access
        options = {**self._service.options(access.authority or ""), "raw_response_hook": self._note}
        if access.authority:
            # The SDK's list of known sign-in services does not include those of private clouds; the account's settings name this one.
            options |= {"authority": access.authority, "disable_instance_discovery": True}
        if access.tenant_id and access.client_id and access.client_secret:
            secret = access.client_secret.get_secret_value()
            try:
                return ClientSecretCredential(access.tenant_id, access.client_id, secret, **options)
            except ValueError:
                raise CredentialRejected(
                    "sign-in: this cannot be a tenant_id: the id of the directory, or a domain name of it, is accepted"
                ) from None
        if not self._service.context.network.lends_rights:
            raise CredentialRejected(f"no credential: {NOT_LENT}: give tenant_id, client_id and client_secret")
        return DefaultAzureCredential(**options)

    def _note(self, response: Any) -> None:
        self._answered = (response.http_response.status_code, dict(response.http_response.headers))

    def _refused(self, error: ClientAuthenticationError) -> Exception:
        """Returns the error for a failed sign-in. The SDK reports every failure as an authentication error, even a broken connection."""
        from azure.core.exceptions import DecodeError, ServiceRequestError, ServiceResponseError

        if refusal := refusal_in(error):
            return refusal
        where = f"sign-in at {self._service._access.authority or 'Microsoft Entra ID'}"
        said = self._service._told(_first_line(str(error.message)))
        status, headers = self._answered or (None, {})
        if status is not None and status >= 300 and status not in _ABOUT_THE_CREDENTIAL:
            return self._service.refusal(status, headers, where, "", "")
        causes = (error.__cause__, error.__context__)
        if any(isinstance(cause, ServiceRequestError | ServiceResponseError | DecodeError) for cause in causes):
            return RetryableError(no_answer(where, said))
        if status is not None and status < 300:
            return RetryableError(broken_off(where))
        return clock_error(where, said[:300]) or CredentialRejected(
            f"{where}: the credential is not accepted ({said[:300]}); connect again with a valid tenant_id, client_id and client_secret"
        )


def _unreadable(text: str, where: str) -> Exception:
    """Returns the error for a body that is not JSON: a cut-off one is requested again, a proxy's page is not."""
    return web_page(where) if is_web_page(text) else RetryableError(broken_off(where))


def _body(error: HttpResponseError) -> str:
    with suppress(Exception):  # a cut-off response may have no text
        return error.response.text() if error.response else ""
    return ""


def _said(error: HttpResponseError) -> str:
    """Returns the service's own message as one line: code and message of a JSON error, or a storage error's code. Never a whole body."""
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

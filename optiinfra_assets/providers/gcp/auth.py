"""Requests to Google's services through Google's own clients: credentials, retries, and the conversion of their errors to ours.

Importing this module imports Google's libraries, so a provider imports it inside its functions. Our retries replace theirs: Google's
clients wrap each request in their argument ``retry``, so `GoogleSession.patience` counts, retries and converts each one, each page too::

    session = GoogleSession.of(key, context)
    table = client.get_table(name, retry=session.patience("tables.get", DATA_VIEWER), timeout=SECONDS)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import google.auth
import requests.exceptions
from google.api_core.exceptions import Conflict, GoogleAPICallError
from google.api_core.retry import Retry
from google.auth import exceptions as auth_errors
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.service_account import Credentials as ServiceAccount
from google.protobuf.json_format import ParseError

from optiinfra_assets.domain.errors import (
    BadData,
    ContractChanged,
    CredentialRejected,
    NothingThere,
    ProviderError,
    Throttled,
    Transient,
)
from optiinfra_assets.providers.context import Meter, ProviderContext
from optiinfra_assets.providers.http.client import retry_after
from optiinfra_assets.providers.http.endpoint_policy import check_endpoint
from optiinfra_assets.providers.http.json_fields import ASK_FOR_UPDATE
from optiinfra_assets.providers.http.redaction import redactor
from optiinfra_assets.providers.http.retry import RetryableError, error_for_status, refusal_in, with_retries
from optiinfra_assets.providers.http.translation import broken_off, clock_error, no_answer
from optiinfra_assets.providers.http.urllib3_transport import guard, guarded_session
from optiinfra_assets.providers.network_policy import NOT_LENT

SECONDS: Final = 60.0
"""Time-out of one request."""
SCOPES: Final = (
    "https://www.googleapis.com/auth/bigquery",
    "https://www.googleapis.com/auth/cloud-billing.readonly",
)
KEY: Final = "a valid service account key"

_BUSY: Final = frozenset({"rateLimitExceeded", "jobRateLimitExceeded", "userRateLimitExceeded"})
_FAILED: Final = frozenset({"backendError", "internalError", "jobBackendError", "jobInternalError"})
_QUOTA_WAIT: Final = timedelta(hours=1)
"""Wait after a used-up quota. Google does not say at which hour it renews, so retrying every minute is no use."""


@dataclass(slots=True)
class GoogleSession:
    """One credential, for the duration of one call of a provider.

    Attributes:
        project: the credential's own project; empty if it has none.
        hide: redacts secrets in a message.
        meter: counts requests and their charges.
    """

    credentials: Credentials
    project: str
    context: ProviderContext
    hide: Callable[[str], str] = field(repr=False)
    meter: Meter

    @classmethod
    def of(cls, key: str | None, context: ProviderContext) -> GoogleSession:
        """Signs in with a service account key (JSON text), or without one with this machine's default credentials; makes one request.

        Raises:
            CredentialRejected: there is no usable credential, or Google does not accept it.
            ProviderError: the token service could not be reached or refused the request.
        """
        return cls._with_key(key, context) if key else cls._by_default(context)

    @classmethod
    def _with_key(cls, key: str, context: ProviderContext) -> GoogleSession:
        info = _parsed(key)
        # A message may name the service account: Google's own messages say which account lacks which permission.
        secrets = [str(info.get(name, "")) for name in ("private_key", "private_key_id")]
        try:
            check_endpoint(str(info.get("token_uri")))
            credentials = ServiceAccount.from_service_account_info(info, scopes=SCOPES)  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 - whatever a library says of a malformed key may repeat a part of it
            raise CredentialRejected(
                "service_account_key: not the JSON of a service account key: paste the whole file as Google gave it"
            ) from None
        return cls._of(credentials, str(info.get("project_id", "")), context, redactor(secrets))

    @classmethod
    def _by_default(cls, context: ProviderContext) -> GoogleSession:
        if not context.network.lends_rights:
            raise CredentialRejected(f"no credential: {NOT_LENT}: give service_account_key")
        try:
            credentials, project = google.auth.default(scopes=SCOPES)
        except auth_errors.DefaultCredentialsError:
            raise CredentialRejected(
                "no credential: give service_account_key, or set up Application Default Credentials on this machine"
            ) from None
        return cls._of(credentials, project or "", context, str)

    @classmethod
    def _of(
        cls, credentials: Credentials, project: str, context: ProviderContext, hide: Callable[[str], str]
    ) -> GoogleSession:
        meter = context.meter()
        tokens = _Tokens(credentials, context, meter)
        access = cls(tokens, project, context, hide, meter)
        tokens.refused = access.refused
        tokens.refresh(None)
        return access

    def session(self) -> AuthorizedSession:
        """Returns a session for a client of Google's, which signs requests and has guarded connections."""
        made: AuthorizedSession = guard(AuthorizedSession(self.credentials))  # type: ignore[no-untyped-call]
        return made

    def _told(self, said: str) -> str:
        return self.context.network.quoted(self.hide(said))

    def patience(self, where: str, permission: str) -> Retry:
        """Returns the argument ``retry`` for Google's clients, which counts and retries each request and converts its errors to ours.

        Args:
            where: what is requested, for messages.
            permission: permission that the credential needs for it.
        """
        return _Patience(self, where, permission)

    @contextmanager
    def translated(self, where: str, permission: str) -> Iterator[None]:
        """Converts every error of Google's clients in the block to a `ProviderError`, also a failed job or a response they cannot read."""
        try:
            yield
        except ProviderError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = self._told(f"{type(error).__name__} {error}"[:200])
            raise ContractChanged(f"{where}: not the documented answer ({said}); {ASK_FOR_UPDATE}") from None
        except Exception as error:  # noqa: BLE001 - translated, or raised as it is
            refused = self.refused(error, where, permission)
            if isinstance(refused, Conflict):
                raise Transient(
                    f"{where}: the provider reports a conflict with another request; try again later"
                ) from None
            raise (refused.error if isinstance(refused, RetryableError) else refused) from None

    def refused(self, error: Exception, where: str, permission: str) -> Exception:
        """Returns the error to raise for an error of Google's clients; returns an error of any other kind unchanged."""
        if isinstance(error, GoogleAPICallError):
            return self._refused_call(error, where, permission)
        if refusal := refusal_in(error):
            return refusal
        # The second argument of a refusal is the whole answer, which may hold tokens.
        reason = error.args[0] if isinstance(error, auth_errors.RefreshError) and error.args else error
        said = self._told(" ".join(str(reason).split())[:200])
        if isinstance(error, auth_errors.RefreshError) and not error.retryable:
            return clock_error(where, said) or CredentialRejected(
                f"{where}: the credential is not accepted ({said}); connect again with {KEY}"
            )
        if isinstance(error, json.JSONDecodeError | ParseError):
            return RetryableError(broken_off(where))
        if isinstance(error, auth_errors.GoogleAuthError | requests.exceptions.RequestException | TimeoutError):
            return RetryableError(no_answer(where, said or type(error).__name__))
        return error

    def _refused_call(self, error: GoogleAPICallError, where: str, permission: str) -> Exception:
        first: Mapping[str, Any] = next((one for one in error.errors if isinstance(one, Mapping)), {})
        reason, status = str(first.get("reason", "")), int(error.code or 500)
        said = self._told(" ".join(str(first.get("message") or error.message).split()))
        now = self.context.clock()
        headers = getattr(error.response, "headers", None) or {}
        until = retry_after({name.lower(): value for name, value in headers.items()}, now)
        if reason == "quotaExceeded":
            return Throttled(f"{where}: a quota of the project is used up ({said[:200]})", until or now + _QUOTA_WAIT)
        if reason == "bytesBilledLimitExceeded":
            return BadData(f"{where}: {said[:200]}: raise max_gib_billed, or collect fewer months")
        if status == 404:
            return NothingThere(f"{where}: {said[:200]}: nothing that is stored is changed")
        if isinstance(error, Conflict):
            return error
        status = 429 if reason in _BUSY else 503 if reason in _FAILED else status
        return error_for_status(status, where, said, permission, until=until, now=now)


class _Patience(Retry):
    """Our retries, in the place of Google's own."""

    def __init__(self, access: GoogleSession, where: str, permission: str) -> None:
        super().__init__()
        self._access, self._where, self._permission = access, where, permission

    def __call__(self, func: Callable[..., Any], on_error: Any = None) -> Callable[..., Any]:
        access = self._access

        def call(*arguments: Any, **options: Any) -> Any:
            def attempt() -> Any:
                access.meter.count()
                try:
                    return func(*arguments, **options)
                except (RetryableError, ProviderError):
                    raise
                except Exception as error:  # noqa: BLE001 - translated, or raised as it is
                    raise access.refused(error, self._where, self._permission) from None

            return with_retries(attempt, access.context, self._where)

        return call


class _Tokens(Credentials):
    """Gets access tokens from other credentials under our retry policy, and makes no other request.

    On their own, Google's credentials request a token several times and sleep in between. In a thread of their own they also ask the real
    service from where the credentials may be used, even if the requests go to another address.
    """

    def __init__(self, source: Credentials, context: ProviderContext, meter: Meter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.refused: Callable[[Exception, str, str], Exception] = lambda error, where, permission: error
        self._source, self._context, self._meter = source, context, meter
        self._universe_domain = source.universe_domain

    def refresh(self, request: Any) -> None:
        """Gets a new token. Ignores `request`, which Google's session would send it with."""
        ours = _TokenRequest(self._context, self._meter)

        def attempt() -> None:
            try:
                self._source.refresh(ours)  # type: ignore[no-untyped-call]
            except (RetryableError, ProviderError):
                raise
            except Exception as error:  # noqa: BLE001 - translated, or raised as it is
                raise self.refused(error, "token", KEY) from None

        with_retries(attempt, self._context, "token")
        self.token, self.expiry = self._source.token, self._source.expiry

    def apply(self, headers: Any, token: str | None = None) -> None:
        """Adds the headers of the other credentials, which may name the project that the request counts for."""
        self._source.apply(headers, token)  # type: ignore[no-untyped-call]


_ABOUT_THE_KEY: Final = frozenset({400, 401, 403})
"""Statuses with which the token service refuses a key; any other is about the request, the service or the network."""


class _TokenRequest(Request):
    """Sends each token request once, with a time-out."""

    def __init__(self, context: ProviderContext, meter: Meter) -> None:
        super().__init__(guarded_session())
        self._context, self._meter = context, meter

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._meter.count()
        options["timeout"] = SECONDS
        response = super().__call__(*arguments, **options)  # type: ignore[no-untyped-call]
        is_busy = response.status == 403 and any(reason.encode() in response.data for reason in _BUSY)
        status = 429 if is_busy else int(response.status)
        if not 200 <= status < 300 and status not in _ABOUT_THE_KEY:
            now = self._context.clock()
            headers = {name.lower(): value for name, value in response.headers.items()}
            raise error_for_status(status, "token", "", KEY, until=retry_after(headers, now), now=now)
        if status == 200 and options.get("method") == "POST" and not _parsed(response.data):
            raise RetryableError(Transient("token: the answer broke off; try again later"))
        return response


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    """Returns the fields of a JSON object; an empty mapping for any other text."""
    try:
        info = json.loads(text)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}

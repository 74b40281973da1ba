"""Makes boto3 clients for one AWS account: signed with an access key, with a role assumed by it, or with the default chain of this machine.

A provider writes::

    calls = BotoCalls(context, context.meter(), secrets=[key])
    session = AwsSession(calls, region="us-east-1", access_key_id=..., secret_access_key=..., role_arn=...)
    identity = calls(session.client("sts").get_caller_identity, "sts", "sts:GetCallerIdentity")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.session import Session

from optiinfra_assets.domain.errors import NothingThere
from optiinfra_assets.providers.http.boto_client import (
    BotoCalls,
    Explain,
    kept_client,
    new_client,
    new_session,
)

_NOTHING: Final = frozenset({"AWSOrganizationsNotInUseException", "DataUnavailableException"})


def no_data_as_nothing(where: str) -> Explain:
    """Returns an `explain` for `BotoCalls` that gives NothingThere if the account has no organization or no data yet, else None."""
    return lambda code, said: (
        NothingThere(f"{where}: {said}: nothing that is stored is changed") if code in _NOTHING else None
    )


@dataclass(slots=True)
class AwsSession:
    """Makes clients that all sign with the same credentials.

    Attributes:
        calls: makes the call that assumes the role.
        region: region of the regional services.
        endpoint_url: one address for all services, or None for each service's own.
        access_key_id: id of the access key; None uses the default chain.
        role_arn: role to assume with those credentials. The session renews the role's credentials as long as they are used.
        external_id: external id that the role's trust policy requires, or None.
    """

    calls: BotoCalls
    region: str
    endpoint_url: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    role_arn: str | None = None
    external_id: str | None = None
    _session: Session | None = field(default=None, init=False, repr=False)

    def client(self, service: str) -> Any:
        """Returns a boto3 client of `service` that several threads may share.

        Raises:
            CredentialRejected: this machine's configuration names a profile or a file that does not exist.
        """
        return self.calls.make(lambda: self._client(service), service)

    def _client(self, service: str) -> Any:
        if not self.role_arn:
            return self._base_client(service)
        if self._session is None:
            self._session = new_session(network=self.calls.context.network)
            resolver = CredentialResolver([_Role(self._assume)])
            self._session.register_component("credential_provider", resolver)
        return new_client(self._session, service, self.region, self.endpoint_url)

    def _base_client(self, service: str) -> Any:
        if self.access_key_id and self.secret_access_key:
            key = {"key_id": self.access_key_id, "secret": self.secret_access_key}
            return kept_client(service, self.region, self.endpoint_url, **key, network=self.calls.context.network)
        session = new_session(network=self.calls.context.network)
        return new_client(session, service, self.region, self.endpoint_url)

    def _assume(self) -> dict[str, str]:
        sts = self._base_client("sts")
        asked = {"RoleArn": self.role_arn, "RoleSessionName": "optiinfra"}
        if self.external_id:
            asked["ExternalId"] = self.external_id
        permission = f"sts:AssumeRole on {self.role_arn}, and a trust policy of that role that allows it"
        answer = self.calls(lambda: sts.assume_role(**asked), "sts:AssumeRole", permission)
        given = answer["Credentials"]
        expires: datetime = given["Expiration"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": expires.isoformat(),
        }


class _Role(CredentialProvider):  # type: ignore[misc]
    """Credentials of an assumed role: requested when they are first needed, and again before they expire."""

    METHOD = "assume-role"

    def __init__(self, assume: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._assume = assume

    def load(self) -> DeferredRefreshableCredentials:
        """Returns credentials that refresh themselves."""
        return DeferredRefreshableCredentials(self._assume, self.METHOD)

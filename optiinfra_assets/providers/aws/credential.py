"""The credential of an AWS account: which key or role reads it, and from where."""

from __future__ import annotations

import re
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from optiinfra_assets.providers.http.endpoint_policy import Endpoint

_EXPORT: Final = re.compile(r"s3://[^/]+(/[^/]+)+")


def _export(location: str) -> str:
    location = location.rstrip("/")
    if not _EXPORT.fullmatch(location):
        raise ValueError("s3://bucket/prefix/export-name is accepted, the folder that holds data/ and metadata/")
    return location


def _dollars(text: str) -> str:
    with suppress(InvalidOperation):
        if text.isascii() and Decimal("0.01") <= Decimal(text) <= 10_000:
            return text
    raise ValueError("an amount of US dollars from 0.01 to 10000 is accepted, such as 1.00")


def _part_of_day(hours: int) -> int:
    if hours not in (1, 2, 3, 4, 6, 8, 12, 24):
        raise ValueError("1, 2, 3, 4, 6, 8, 12 or 24 is accepted")
    return hours


class AwsCredential(BaseModel):
    """One payer or member account, read through a data export in S3 or through Cost Explorer.

    Without a key the default chain of this machine is used (environment, profile, role of the machine).
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    export: Annotated[str, AfterValidator(_export)] | None = Field(
        None,
        description="Data export to read, s3://bucket/prefix/export-name; empty: Cost Explorer, which costs.",
    )
    access_key_id: SecretStr | None = Field(None, description="Access key; empty for the default chain.")
    secret_access_key: SecretStr | None = Field(None, description="Secret of the access key.")
    role_arn: str | None = Field(
        None,
        pattern=r"^arn:[a-z-]+:iam::\d{12}:role/.+$",
        description="Role to assume, arn:aws:iam::...:role/...",
    )
    external_id: str | None = Field(None, description="External id that the role's trust policy asks for.")
    region: str = Field("us-east-1", description="AWS region of the bucket, and of STS.")
    daily_budget: Annotated[str, AfterValidator(_dollars)] = Field(
        "1.00",
        description="Most that Cost Explorer may cost a UTC day, in USD; each page of an answer is 0.01.",
    )
    refresh_hours: Annotated[int, AfterValidator(_part_of_day)] = Field(
        24,
        description="Ask Cost Explorer once in so many hours of the UTC day; AWS refreshes up to 3 times a day.",
    )
    detail: Literal["region", "service"] = Field(
        "region",
        description="Cost Explorer with regions, at a page for each account and record type; or by service, at one for each record type.",
    )
    endpoint_url: Endpoint | None = Field(
        None, description="Address of all services; for tests and compatible services."
    )

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key: give both, or neither for the default chain")
        if self.external_id and not self.role_arn:
            raise ValueError("external_id: is for assuming a role: give role_arn too")
        return self

    @property
    def secrets(self) -> list[str]:
        """Secret values, which no message may contain."""
        given = (self.access_key_id, self.secret_access_key)
        return [one.get_secret_value() for one in given if one is not None]

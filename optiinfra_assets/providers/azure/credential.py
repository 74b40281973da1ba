"""The credential of an Azure account: what is read, and by which application."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from optiinfra_assets.providers.azure.entra import EntraCredential
from optiinfra_assets.providers.azure.scope import INVOICED, check_scope, invoices_path
from optiinfra_assets.providers.http.endpoint_policy import Endpoint, MachineLocal


class AzureCredential(BaseModel):
    """One scope or one export, read by an application of Microsoft Entra ID, or by whoever this machine is."""

    model_config = ConfigDict(hide_input_in_errors=True)

    scope: str | None = Field(
        None,
        description="What the Query API is asked for, such as subscriptions/<id>; not with an export_url.",
    )
    export_url: Endpoint | None = Field(
        None,
        description="Folder of one FOCUS export: https://<storage account>.blob.core.windows.net/<container>/<folder>/<export>.",
    )
    invoice_scope: str | None = Field(
        None,
        description="Billing account, billing profile or subscription whose invoices bill these costs; empty: the scope, if it is one.",
    )
    tenant_id: str | None = Field(
        None,
        description="Directory of the application; empty, with the next two: the default chain of this machine.",
    )
    client_id: str | None = Field(None, description="Id of the application.")
    client_secret: SecretStr | None = Field(
        None, description="One of the application's client secrets: its value, not its id."
    )
    refresh_hours: Annotated[int, Field(ge=1, le=24)] = Field(
        4, description="The Query API is asked whether anything changed once in so many hours, 1 to 24."
    )
    endpoint_url: Endpoint = Field(
        "https://management.azure.com",
        description="Address of Azure Resource Manager; others for sovereign clouds and tests.",
    )
    authority: Endpoint | None = Field(
        None, description="Address of the sign-in service; empty: that of the public cloud."
    )
    ca_file: Annotated[str | None, MachineLocal.FOLDER] = Field(
        None, description="File of certificates to trust instead of the usual ones."
    )

    @field_validator("scope")
    @classmethod
    def _known_scope(cls, scope: str | None) -> str | None:
        return check_scope(scope) if scope else None

    @field_validator("invoice_scope")
    @classmethod
    def _has_invoices(cls, scope: str | None) -> str | None:
        if scope and invoices_path(scope := check_scope(scope)) is None:
            raise ValueError(f"{scope!r} has no invoices: accepted are {INVOICED}")
        return scope or None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.scope) == bool(self.export_url):
            raise ValueError("give either scope or export_url")
        if len({bool(self.tenant_id), bool(self.client_id), bool(self.client_secret)}) > 1:
            raise ValueError("tenant_id, client_id and client_secret: give all three, or none of them")
        return self

    @property
    def access(self) -> EntraCredential:
        """The credential to sign in with."""
        return EntraCredential(self.tenant_id, self.client_id, self.client_secret, self.authority, self.ca_file)

"""What settings may point at, by the types of fields, whatever model they are in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.http.endpoint_policy import (
    AllowedLocations,
    Endpoint,
    LocationNotAllowed,
    MachineLocal,
    endpoint_fields,
    parse_locations,
)


class Model(BaseModel):
    """One field of each kind, plain and nested in other types."""

    text: str
    endpoint_url: str | None = None
    authority: Endpoint = "https://localhost/default"
    other: Endpoint | None = None
    many: list[Endpoint] = []
    path: Path | None = None
    folder: Annotated[str | None, MachineLocal.FOLDER] = None
    profile: Annotated[str | None, MachineLocal.SETTING] = None
    inner: Annotated[str, MachineLocal.SETTING] | None = None
    export_url: str | None = None
    ca_file: str | None = None


CUSTOMER = AllowedLocations(is_everywhere=False, places=("/srv/exports", "s3://exports/acme"))
PLATFORM = AllowedLocations(is_everywhere=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint_url", "https://10.0.0.1"),
        ("authority", "https://10.0.0.1"),
        ("other", "http://127.0.0.1:1"),
        ("many", ["https://10.0.0.1"]),
        ("path", "/etc/shadow"),
        ("path", Path("/srv/exports/../../etc")),
        ("folder", "/etc"),
        ("folder", "relative"),
        ("folder", "~/x"),
        ("folder", "s3://bucket/prefix"),
        ("folder", "s3://exports/acme-other"),
        ("folder", "s3://exports"),
        ("profile", "payer"),
        ("inner", "payer"),
        ("export_url", "https://10.0.0.1/container"),
        ("ca_file", "/etc/shadow"),
    ],
)
def test_each_kind_is_refused_and_named(name: str, value: object) -> None:
    with pytest.raises(LocationNotAllowed, match="is not accepted over the API") as caught:
        CUSTOMER.check(Model, {"text": "http://10.0.0.1", name: value})
    assert caught.value.field == name
    PLATFORM.check(Model, {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", "/etc/shadow"),
        ("endpoint_url", None),
        ("authority", "https://localhost/default"),
        ("other", "https://1.1.1.1:8443/v2"),
        ("path", "/srv/exports"),
        ("folder", "/srv/exports/acme/2026"),
        ("folder", "s3://exports/acme"),
        ("folder", "s3://exports/acme/2026"),
    ],
)
def test_what_the_sender_may_use_anyway_is_accepted(name: str, value: object) -> None:
    CUSTOMER.check(Model, {name: value})


def test_addresses_are_found_in_any_type() -> None:
    assert endpoint_fields(Model) == {"endpoint_url", "authority", "other", "many", "export_url"}


@given(st.ip_addresses(v=4))
def test_no_form_of_an_address_changes_the_answer(address: object) -> None:
    """An IPv4 address is refused or accepted alike, however it is written."""

    def accepts(host: str) -> bool:
        try:
            CUSTOMER.check(Model, {"other": f"https://{host}/"})
        except LocationNotAllowed:
            return False
        return True

    number = int(address)  # type: ignore[call-overload]
    forms = [str(address), f"[::ffff:{address}]", str(number), hex(number)]
    assert len({accepts(form) for form in forms}) == 1


def test_folders_are_parted_by_colons() -> None:
    assert parse_locations("") == ()
    assert parse_locations("/a:/b c:") == ("/a", "/b c")
    assert parse_locations("/a:s3://b/c:~/x:gs://d") == ("/a", "s3://b/c", "~/x", "gs://d")
    at_home = AllowedLocations(is_everywhere=False, places=("~/x",))
    at_home.check(Model, {"folder": str(Path.home() / "x" / "y")})


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_no_provider_hides_an_address_from_the_rules(name: str) -> None:
    """A field that is called one is one: who adds a provider gives it the type `Endpoint`, or says here what else it is."""
    model = PROVIDERS[name].credential_model
    called = {field for field in model.model_fields if re.search(r"url|uri|endpoint|host|server|authority", field)}
    assert called <= endpoint_fields(model)

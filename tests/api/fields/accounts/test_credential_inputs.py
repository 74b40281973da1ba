"""Input types say what the providers' models say, whatever types of fields these use, and importing them stays cheap."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, get_args

import pytest
import strawberry
from graphql import GraphQLInputObjectType, GraphQLNonNull, GraphQLSchema, build_schema
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from optiinfra_api.fields.accounts import credential_inputs
from optiinfra_api.schema import schema
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.http.endpoint_policy import Endpoint
from optiinfra_assets.providers.vultr.provider import Vultr


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    return build_schema(schema.as_str())


def fields_of(built: GraphQLSchema, name: str) -> dict[str, Any]:
    kind = built.type_map[name]
    assert isinstance(kind, GraphQLInputObjectType)
    return dict(kind.fields)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_field_of_every_provider_is_there_as_its_model_says(built: GraphQLSchema, name: str) -> None:
    provider = PROVIDERS[name]
    model, secret = provider.credential_model, provider.secret_fields()
    shown = fields_of(built, f"{name.title()}CredentialInput")
    assert list(shown) == [credential_inputs.name_of(field) for field in model.model_fields]
    for field, declared in model.model_fields.items():
        one = shown[credential_inputs.name_of(field)]
        assert isinstance(one.type, GraphQLNonNull) == declared.is_required()
        assert (declared.description or "") in one.description
        assert one.description.startswith("Secret: ") == (field in secret)
    settings = fields_of(built, f"{name.title()}SettingsInput")
    assert set(settings) == {credential_inputs.name_of(field) for field in model.model_fields.keys() - secret}
    assert not any(isinstance(one.type, GraphQLNonNull) for one in settings.values())
    if secret:
        secrets = fields_of(built, f"{name.title()}SecretsInput")
        assert set(secrets) == {credential_inputs.name_of(field) for field in secret}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("CredentialInput", sorted(PROVIDERS)),
        ("SecretsInput", sorted(n for n, p in PROVIDERS.items() if p.secret_fields())),
    ],
)
def test_a_choice_has_one_field_for_each_provider(built: GraphQLSchema, kind: str, expected: list[str]) -> None:
    assert sorted(fields_of(built, kind)) == expected
    assert f"input {kind} @oneOf" in schema.as_str()


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Varied(BaseModel):
    """Every kind of field a model may have."""

    api_key: SecretStr = Field(description="The key.")
    spare_key: SecretStr | None = None
    region: Literal["eu", "us"] = "eu"
    size: Literal["s", "m"] | None = None
    colour: Colour = Colour.RED
    pages: int = 7
    is_deep: bool = False
    projects: list[str] = []
    checked: Annotated[str, AfterValidator(str.strip)] | None = None
    either: int | str = 1
    endpoint_url: Endpoint = "https://api.example.com"


class Made(Vultr):
    name: ClassVar[str] = "made"
    title: ClassVar[str] = "Made up"
    credential_model: ClassVar[type[BaseModel]] = Varied


def test_any_type_of_field_has_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_inputs, "PROVIDERS", {"made": Made()})
    made = credential_inputs._choice("Credential", "A choice.", credential_inputs._all)

    def shown(sent: Any) -> str:
        found = credential_inputs.credential_values(sent)
        return f"{found.provider} {dict(found.values)}"

    shown.__annotations__["sent"] = made
    query = strawberry.type(
        type("Query", (), {"__annotations__": {"shown": str}, "shown": strawberry.field(resolver=shown)})
    )
    built = strawberry.Schema(query)
    types = {
        name: str(one.type) for name, one in fields_of(build_schema(built.as_str()), "MadeCredentialInput").items()
    }
    assert types == {
        "apiKey": "String!", "spareKey": "String", "region": "String", "size": "String", "colour": "String", "pages": "Int",
        "isDeep": "Boolean", "projects": "[String!]", "checked": "String", "either": "String", "endpointUrl": "String",
    }  # fmt: skip
    for said in (
        "One of eu, us. Default: eu.",
        "One of s, m.",
        "One of red, blue.",
        "Default: 7.",
        "Default: false.",
    ):
        assert said in built.as_str()
    sent = '{made: {apiKey: "k", pages: 3, projects: ["a"], isDeep: true, size: null}}'
    done = built.execute_sync(f"{{ shown(sent: {sent}) }}")
    assert done.errors is None
    values = {"api_key": "k", "size": None, "pages": 3, "is_deep": True, "projects": ["a"]}
    assert done.data == {"shown": f"made {values}"}
    assert Varied.model_validate({name: value for name, value in values.items() if value is not None}).pages == 3
    assert get_args(Varied.model_fields["spare_key"].annotation)[0] is SecretStr


def test_the_api_starts_without_what_few_requests_need() -> None:
    heavy = {"boto3", "botocore", "google.cloud", "azure", "pandas", "dagster", "chdb", "mcp"}
    code = f"import sys, optiinfra_api.app; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

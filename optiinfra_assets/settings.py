"""The settings: from the environment first, then from files of secrets, then from the file that a running `optiinfra up` writes.

``OPTIINFRA_HOME`` (default ``~/.optiinfra``) holds all state of one installation. `optiinfra up` writes the URLs of the servers it started
to ``runtime.json`` there, so that a command in another shell finds them without any variable.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

RUNTIME_FILE = "runtime.json"
METRICS_TOKEN_FILE = "metrics.token"  # noqa: S105 - a name
SECRETS_FOLDER = "OPTIINFRA_SECRETS_FOLDER"
"""Environment variable: a folder of files, each with the value of the setting that it is named after."""
SUPERVISOR_MARKER = "OPTIINFRA_SUPERVISOR"
"""Environment variable of every process that `optiinfra up` started."""
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_METRICS_TOKEN = re.compile(r"[!-~]{16,512}")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")


class GroupRole(BaseModel):
    """What the people of a group of an identity provider may do; without a customer, for all of them."""

    model_config = ConfigDict(extra="forbid")

    group: str = Field(min_length=1)
    role: Literal["viewer", "operator", "admin"]
    customer: str | None = None

    @model_validator(mode="after")
    def _check_customer(self) -> Self:
        if self.customer is None and self.role != "admin":
            raise ValueError(
                f"group {self.group!r}: customer: needed for role {self.role}: only admin is for all customers"
            )
        return self


class SecretFiles(SecretsSettingsSource):
    """Reads values from the files of ``OPTIINFRA_SECRETS_FOLDER``, as containers get secrets: ``optiinfra_postgres_url`` and so on."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        folder = os.environ.get(SECRETS_FOLDER) or None
        if folder and not Path(folder).is_dir():
            raise ValueError(f"{SECRETS_FOLDER}: {folder}: is no folder")
        super().__init__(settings_cls, folder)


class _RuntimeFile(PydanticBaseSettingsSource):
    """Reads the values that `optiinfra up` wrote to ``runtime.json``. The environment overrides them; they override defaults."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        home = Path(
            self.current_state.get("home") or Settings.model_fields["home"].get_default(call_default_factory=True)
        )
        try:
            content: Any = json.loads((home / RUNTIME_FILE).read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):  # a power cut may leave it empty
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: value for name, value in content.items() if name in Settings.model_fields and name != "home"}


LOOPBACK: Final = "127.0.0.1"


class Settings(BaseSettings):
    """The settings of the platform; the variable ``OPTIINFRA_<NAME>`` sets each. Master keys are in `vault.keyring.KeySettings`."""

    model_config = SettingsConfigDict(env_prefix="OPTIINFRA_", env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".optiinfra",
        description="Folder that holds all state of this installation.",
    )
    clickhouse_url: str | None = Field(
        None,
        description="ClickHouse over HTTP, http(s)://user:password@host:port/database. Unset: the embedded engine.",
        repr=False,
    )
    clickhouse_reader_url: str | None = Field(
        None,
        description="The same database for the GraphQL service, as a user with the role optiinfra_reader. Unset: clickhouse_url.",
        repr=False,
    )
    clickhouse_cluster: str | None = Field(
        None,
        description="Create tables ON CLUSTER this name with Replicated engines. Unset: a single server.",
    )
    postgres_url: str | None = Field(
        None,
        description="PostgreSQL, postgresql://user:password@host:port/database. Unset: the embedded server.",
        repr=False,
    )
    bind_host: str = Field("127.0.0.1", description="Address the servers listen on.")
    clickhouse_port: int = Field(8124, description="Port of the embedded ClickHouse.")
    dagster_port: int = Field(3000, description="Port of the Dagster web interface.")
    api_port: int = Field(8000, description="Port of the GraphQL service.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Address by which browsers and programs reach the service and its pages, such as https://costs.example.com, for links "
        "to them. Unset: the address it listens on.",
    )
    graphiql: bool | None = Field(
        None,
        description="Show GraphiQL at /graphql to browsers (true) or not (false). Unset: only while OPTIINFRA_BIND_HOST is a loopback "
        "address.",
    )
    api_cors_origins: str = Field(
        "", description="Web origins whose pages may ask the service, parted by commas. Empty: none."
    )
    api_max_requests: int = Field(
        32, ge=1, description="Requests of one token under way at one time, in each process of the service."
    )
    api_max_exports: int = Field(
        4, ge=1, description="Exports of one token under way at one time, in each process of the service."
    )
    api_max_subscriptions: int = Field(
        100, ge=1, description="Subscriptions of one token under way at one time, in each process of the service."
    )
    api_max_connections: int = Field(
        500, ge=1, description="Connections of one client address at one time, in each process of the service."
    )
    api_max_rows: int = Field(
        500_000_000, ge=1, description="Rows that one GraphQL operation may read, as estimated beforehand."
    )
    api_max_answer_rows: int = Field(
        12_000, ge=1, description="Rows that all fields of one GraphQL operation may answer together."
    )
    api_max_seconds: int = Field(30, ge=1, description="Seconds that one statement of GraphQL may take.")
    api_max_memory: ByteSize = Field(
        ByteSize(4 * 2**30), ge=2**20, description="Memory of one statement in ClickHouse, such as 4GiB."
    )
    api_answers: ByteSize = Field(
        ByteSize(64 * 2**20),
        description="Memory for answers of ClickHouse, such as 64MiB, in each process of the service: what was asked before over the "
        "same published generations is not asked again. 0: none.",
    )
    api_tables: ByteSize = Field(
        ByteSize(64 * 2**20),
        description="Memory for small derived tables, such as 64MiB, in each process of the service: totals, trends and kinds of charges "
        "are summed there and ask ClickHouse nothing, and so are trends by a tag and pages of line items that are asked again. 0: none.",
    )
    api_export_max_rows: int = Field(
        100_000_000, ge=1, description="Rows that one export may have, or read as estimated beforehand."
    )
    api_export_max_seconds: int = Field(
        3000, ge=1, le=3000, description="Seconds that one export may take; removed rows stay for an hour."
    )
    dagster_url: str = Field(
        "http://127.0.0.1:3000", description="Where the Dagster webserver is reached, for triggers and links."
    )
    dagster_token: str | None = Field(
        None,
        description="Token that our processes send to the Dagster webserver, and that it accepts. Unset: `optiinfra up` makes a new one.",
        repr=False,
    )
    celery_broker: str | None = Field(
        None,
        pattern=r"^rediss?://",
        description="Redis or Valkey, redis://:password@host:port/number, through which Celery's workers get their runs, if dagster.yaml "
        "names that run launcher.",
        repr=False,
    )
    metrics_token: str | None = Field(
        None,
        description="Token with which a scraper reads /metrics and the detail of /readyz, also while PostgreSQL is down: at least 16 "
        "letters, digits or signs. Unset: that in metrics_token_file.",
        repr=False,
    )
    metrics_token_file: Path | None = Field(
        None,
        description="File with that token. Unset: `optiinfra up` makes metrics.token in the home folder; a service that is started "
        "alone has none.",
    )
    link_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="Key that signs links to exports, the same in every process of the service: at least 32 characters. Unset: that in "
        "link.key of the home folder, which is made when it is needed.",
        repr=False,
    )
    web_origins: str = Field(
        "",
        description="Addresses by which browsers reach the web interfaces through a proxy or by another name, parted by commas, such as "
        "https://dagster.example.com. The loopback names and OPTIINFRA_BIND_HOST are always accepted.",
    )
    oidc_issuer: str = Field(
        "",
        description="Address of the OpenID Connect provider that people sign in at, as its tokens name it (`iss`), such as "
        "https://login.example.com/realms/main. Unset: nobody signs in there.",
    )
    oidc_client_id: str = Field("", description="What the provider calls this platform.")
    oidc_client_secret: str | None = Field(
        None,
        description="The secret of that client. Unset: that in oidc_client_secret_file, or a client without one.",
        repr=False,
    )
    oidc_client_secret_file: Path | None = Field(None, description="File with that secret.")
    oidc_scopes: str = Field("openid email profile", description="Scopes that are asked for, parted by spaces.")
    oidc_groups_claim: str = Field("groups", description="Claim of the ID token that holds the groups of a person.")
    oidc_roles: list[GroupRole] = Field(
        default_factory=list,
        description="What the groups may do, as JSON; the first that a person is in counts: "
        '[{"group": "platform", "role": "admin"}, {"group": "web", "role": "viewer", "customer": "acme"}]. '
        "Without a customer: all customers, for administrators only.",
    )
    retention_days: int = Field(
        95,
        ge=1,
        le=3650,
        description="Days for which the last generation of each UTC day of a slice is kept.",
    )
    retention_daily_days: int | None = Field(
        None,
        ge=1,
        le=3650,
        description="Of the days of OPTIINFRA_RETENTION_DAYS, those further back than this keep the last generation of each week and "
        "month only; not set: of each day.",
    )
    history_days: int = Field(
        400, ge=35, le=3650, description="Days for which ended collections, and requests to providers by day, are kept."
    )
    dagster_history_days: int = Field(
        30,
        ge=7,
        le=3650,
        description="Days for which ended Dagster runs are kept, with their events and logs; the newest run of each slice stays.",
    )
    audit_days: int = Field(
        3650,
        ge=400,
        le=36500,
        description="Days for which audit records are kept: their legal term, longer than a year.",
    )
    api_folders: str = Field(
        "",
        description="Folders of this machine and addresses such as s3://bucket/prefix, parted by ':', below which accounts that are "
        "read with the rights of this machine may be added over the API. Unset: none, but by administrators of all customers.",
    )
    probe_seconds: int = Field(
        900,
        ge=1,
        description="Seconds that looking for changes of one account may take, all requests and waits together.",
    )
    collect_seconds: int = Field(
        21_600,
        ge=1,
        description="Seconds that reading one month of one account may take, all requests and waits together.",
    )
    read_memory: ByteSize = Field(
        ByteSize(512 * 2**20),
        ge=64 * 2**20,
        description="Memory, such as 512MiB, that one batch of rows of a file, or one answer of a provider, may take decompressed and "
        "decoded. What needs more is refused before it is read.",
    )
    max_concurrent_runs: int = Field(3, ge=1, description="Dagster runs at one time.")
    max_customer_runs: int = Field(
        2, ge=1, description="Dagster runs of one customer at one time; the other places are left to other customers."
    )
    max_customer_requests: int = Field(
        20,
        ge=1,
        description="Requests for collections of one customer that may be open at one time, over the API and by `collect`.",
    )

    @property
    def api_host(self) -> str:
        """The address at which this machine reaches the API."""
        return LOOPBACK if self.bind_host in ("0.0.0.0", "::") else self.bind_host  # noqa: S104 - compared, not listened on

    @property
    def api_url(self) -> str:
        """The address of the API, and of the web pages: that of `public_url`, or one for programs and browsers of this machine."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = self.api_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.api_port}"

    @property
    def dagster_headers(self) -> dict[str, str]:
        """The headers that our processes send to the Dagster webserver."""
        return {"Authorization": f"Bearer {self.dagster_token}"} if self.dagster_token else {}

    def read_metrics_token(self) -> str | None:
        """Return the token for scrapers, None if none is set.

        Raises:
            ValueError: its file cannot be read, or holds no token.
        """
        if self.metrics_token or self.metrics_token_file is None:
            return self.metrics_token
        try:
            return _checked_metrics_token(self.metrics_token_file.read_text(errors="replace").strip())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ValueError(f"OPTIINFRA_METRICS_TOKEN_FILE: {self.metrics_token_file}: {why}") from None

    def read_oidc_client_secret(self) -> str | None:
        """Return the secret of the client at the OpenID Connect provider, None if it has none.

        Raises:
            ValueError: its file cannot be read, or is empty.
        """
        if self.oidc_client_secret or self.oidc_client_secret_file is None:
            return self.oidc_client_secret
        try:
            found = self.oidc_client_secret_file.read_text(errors="replace").strip()
        except OSError as error:
            raise ValueError(
                f"OPTIINFRA_OIDC_CLIENT_SECRET_FILE: {self.oidc_client_secret_file}: {error.strerror}"
            ) from None
        if not found:
            raise ValueError(f"OPTIINFRA_OIDC_CLIENT_SECRET_FILE: {self.oidc_client_secret_file}: is empty")
        return found

    @field_validator("metrics_token")
    @classmethod
    def _check_metrics_token(cls, value: str | None) -> str | None:
        return value and _checked_metrics_token(value)

    @field_validator("web_origins")
    @classmethod
    def _check_origins(cls, value: str) -> str:
        origins = [one.strip().rstrip("/").lower() for one in value.split(",") if one.strip()]
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("is not accepted: use https://name or https://name:port, and commas between several")
        return ",".join(one.removesuffix(_DEFAULT_PORTS[one.partition(":")[0]]) for one in origins)

    def for_reading(self) -> Settings:
        """Return these settings for code that only reads: with the ClickHouse URL of the reader, if one is configured."""
        return self.model_copy(update={"clickhouse_url": self.clickhouse_reader_url or self.clickhouse_url})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, then environment, then files of secrets, then runtime.json, then defaults."""
        return init_settings, env_settings, SecretFiles(settings_cls), _RuntimeFile(settings_cls)


def _checked_metrics_token(token: str) -> str:
    if not _METRICS_TOKEN.fullmatch(token):
        raise ValueError(
            "is no token: use 16 to 512 letters, digits or signs, without spaces: `openssl rand -hex 32` makes one"
        )
    return token


def demo_home() -> Path:
    """Return the folder of the demo's state: ``demo`` in OPTIINFRA_HOME if that is set, else ``~/.optiinfra-demo``."""
    given = os.environ.get("OPTIINFRA_HOME")
    return Path(given).expanduser() / "demo" if given else Path.home() / ".optiinfra-demo"


def project_file(*parts: str) -> Path:
    """Return the path of a file shipped with the packages (``sql/``, ``dagster.yaml``), in a checkout or in an installed wheel."""
    packaged = Path(__file__).parent / "_project"
    root = packaged if packaged.is_dir() else Path(__file__).parents[1]
    return root.joinpath(*parts)


def complaint(error: ValidationError) -> str:
    """Return why the first rejected variable is rejected, in one line that names it but not its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = "_".join(str(part) for part in first["loc"])
    return f"OPTIINFRA_{name.upper()}: {' '.join(first['msg'].split())}"

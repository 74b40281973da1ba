"""Loads the master keys from the environment or from our key file.

``OPTIINFRA_MASTER_KEY`` holds one or several keys, separated by commas or line ends: 32 random bytes in base64, the ARN of an AWS KMS
key, or the name of a Google Cloud KMS key. The first key wraps, all of them unwrap. If the variable is unset, the keys are the lines of
``OPTIINFRA_MASTER_KEY_FILE`` (default ``master.key`` under ``OPTIINFRA_HOME``), which is created on first use.

To replace a key in the variable without downtime, set it in three steps, each on every machine before the next: ``old,new``; ``new,old``
and rotate; ``new``. With the file, rotation does all of this: other processes read the file again when they need a key they do not know.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from optiinfra_assets.settings import SecretFiles, Settings
from optiinfra_assets.vault.gcp_kms import GCP_KMS_NAME, GcpKmsKey
from optiinfra_assets.vault.master_keys import (
    KEY_BYTES,
    KMS_ARN,
    AwsKmsKey,
    KeyWrapper,
    LocalKey,
    MasterKeyMissing,
    MasterKeyWrong,
    VaultError,
)

DEFAULT_FILE: Final = "master.key"


class KeySettings(BaseSettings):
    """The settings of master keys. They are not part of `Settings`, whose values are shown, and written to a file for other commands."""

    model_config = SettingsConfigDict(env_prefix="OPTIINFRA_", env_ignore_empty=True, extra="ignore", frozen=True)

    master_key: SecretStr | None = Field(
        None,
        description="Master keys, the one in use first: base64 of 32 bytes, ARN of an AWS KMS key, or name of a Google Cloud KMS key.",
    )
    master_key_file: Path | None = Field(None, description="File of master keys, one a line, unset: below home.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, then environment, then files of secrets."""
        return init_settings, env_settings, SecretFiles(settings_cls)


class KeyFile:
    """A file of master keys, one per line, the current one first; only its owner may read it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def read(self) -> list[str]:
        """Return the keys, as text.

        Raises:
            MasterKeyMissing: the file does not exist, cannot be read, or users other than its owner can read it.
        """
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise MasterKeyMissing(
                        f"master key file {self.path}: others can read it (mode {stat.S_IMODE(mode):04o}): chmod 600 it"
                    )
                return file.read().decode("ascii", errors="replace").split()
        except FileNotFoundError:
            raise MasterKeyMissing(
                f"master key: none given: put this installation's key file back at {self.path}, or set OPTIINFRA_MASTER_KEY"
            ) from None
        except OSError as error:
            raise MasterKeyMissing(
                f"master key file {self.path}: {error.strerror}: let the user of this process read it"
            ) from None

    def create(self) -> bool:
        """Create the file with one new key and return True; return False if it exists. Safe if several processes do so at once."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            if self.path.exists():
                return False
            self._write([_new_key()])
            return True

    def add(self) -> None:
        """Add a new key before the others; it wraps from now on."""
        with self._alone():
            self._write([_new_key(), *self.read()])

    def drop(self, key_id: str) -> None:
        """Remove a key permanently, if the file has it.

        Raises:
            VaultError: it is the current one.
        """
        with self._alone():
            lines = self.read()
            kept = [line for line in lines if parse(line, str(self.path)).key_id != key_id]
            if kept[:1] != lines[:1]:
                raise VaultError(f"master key {key_id}: in use: rotate to a new one first")
            self._write(kept)

    def _write(self, lines: Sequence[str]) -> None:
        """Replace the file atomically and sync it to disk before any secret depends on it: without its key a secret is lost."""
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(self.path.parent)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the file: if two processes add a key at once, neither key may be lost, because secrets under it would be lost too."""
        lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class Keyring:
    """The master keys of this installation. Thread-safe; other processes may change the file meanwhile.

    Attributes:
        made: the key file, if this object created it: the user has to be told to back it up.
    """

    def __init__(self, given: SecretStr | None, file: KeyFile) -> None:
        self._given = given
        self._file = file
        self._keys: dict[str, KeyWrapper] = {}
        self.made: Path | None = None

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """Build the keyring that the environment configures, by default the file under `settings.home`. This reads and creates no key."""
        own = KeySettings()
        return cls(own.master_key, KeyFile(own.master_key_file or settings.home / DEFAULT_FILE))

    def add(self) -> None:
        """Add a new key to the file; it wraps from now on.

        Raises:
            MasterKeyMissing: there is no key file yet.
            VaultError: the keys come from OPTIINFRA_MASTER_KEY, which only a person can change.
        """
        if self._given is not None:
            raise VaultError(
                "master key: given in OPTIINFRA_MASTER_KEY, so it is changed there: put the new key before the present one"
            )
        self._file.add()

    def create(self) -> None:
        """Create the key file with the first key, if keys come from the file and it does not exist."""
        if self._given is None and self._file.create():
            self.made = self._file.path

    def forget(self, key_id: str) -> None:
        """Remove a retired key from the file, if keys come from the file."""
        if self._given is None:
            self._file.drop(key_id)

    def current(self) -> KeyWrapper:
        """Return the key that wraps; this reads the key file again.

        Raises:
            MasterKeyMissing: there is no key, or a key has no accepted format.
        """
        return self._load()[0]

    def key(self, key_id: str) -> KeyWrapper:
        """Return a key by id, the current or a previous one.

        Raises:
            MasterKeyMissing: there is no key at all.
            MasterKeyWrong: there are only other keys.
        """
        if key_id not in self._keys:
            self._load()
        try:
            return self._keys[key_id]
        except KeyError:
            raise MasterKeyWrong(
                f"master key {key_id}: not among those given ({', '.join(self._keys)}): "
                f"add it to OPTIINFRA_MASTER_KEY or to {self._file.path}"
            ) from None

    def _load(self) -> list[KeyWrapper]:
        where = "OPTIINFRA_MASTER_KEY" if self._given is not None else f"master key file {self._file.path}"
        text = self._given.get_secret_value().replace(",", " ").split() if self._given else self._file.read()
        if not text:
            raise MasterKeyMissing(f"{where}: holds no key: put the key of this installation back")
        keys = {key.key_id: key for key in (parse(entry, where) for entry in text)}
        # Keep known wrappers: they hold connections to their key management service.
        self._keys = {key_id: self._keys.get(key_id, key) for key_id, key in keys.items()}
        return list(self._keys.values())


def parse(entry: str, where: str) -> KeyWrapper:
    """Parse one master key. Errors name its origin `where`, never the text.

    Raises:
        MasterKeyMissing: the text is neither base64 of 32 bytes nor a key of AWS KMS or Google Cloud KMS.
    """
    if KMS_ARN.fullmatch(entry):
        return AwsKmsKey(entry)
    if GCP_KMS_NAME.fullmatch(entry):
        return GcpKmsKey(entry)
    try:
        key = base64.b64decode(entry, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyMissing(
            f"{where}: a key is not accepted: use base64 of {KEY_BYTES} random bytes (openssl rand -base64 {KEY_BYTES}), "
            "arn:aws:kms:<region>:<account>:key/<id>, "
            "or projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>"
        )
    return LocalKey(key)


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

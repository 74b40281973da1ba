"""Blobs of a container as files: lists those below a folder with their ETags, and reads each only in the version that was listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

from optiinfra_assets.domain.errors import BadData, NothingThere, Transient
from optiinfra_assets.providers.files.location import SPAN_BYTES, FileVersion, Gone, RemoteLocation
from optiinfra_assets.providers.http.endpoint_policy import is_loopback
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.translation import not_theirs

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties

    from optiinfra_assets.providers.azure.entra import EntraSession

READER: Final = "the role Storage Blob Data Reader at the container"
LISTED_AT_ONCE: Final = 5_000
"""Page size: the most that the service returns."""
_GONE: Final = frozenset({404, 412})

_T = TypeVar("_T")


class BlobLocation(RemoteLocation):
    """The blobs below a folder of a container. Use it in a ``with``, or `close` it."""

    def __init__(self, address: str, service: EntraSession) -> None:
        """Prepares the client; sends no request.

        Raises:
            BadData: the address names no container.
        """
        from azure.storage.blob import ContainerClient

        super().__init__(address, service.meter)
        self._service = service
        account, name, self._folder = _parted(address)
        self._client = ContainerClient(
            account,
            name,
            credential=service.credential,
            max_single_get_size=SPAN_BYTES,
            max_chunk_get_size=SPAN_BYTES,
            **service.options(address),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def all_files(self) -> list[FileVersion]:
        """Returns every blob below the folder, whatever its name.

        Raises:
            NothingThere: the container does not exist.
            ProviderError: the container cannot be listed.
        """
        return list(self._list())

    def within(self, blob_name: str) -> str | None:
        """Returns the name below the folder of a blob with this name in the container; None if the blob is outside of the folder."""
        return blob_name.removeprefix(self._folder) if blob_name.startswith(self._folder) else None

    def content(self, file: FileVersion) -> bytes:
        """Returns the whole content of a small blob.

        Raises:
            Transient: the blob is gone, or has another version now.
            ProviderError: the blob cannot be read.
        """
        return self.span(file, 0, file.size) if file.size else b""

    def current(self, name: str) -> FileVersion | None:
        try:
            blob = self._client.get_blob_client(self._folder + name)
            found = self._ask(name, blob.get_blob_properties)
        except Gone:
            return None
        return _version(name, found)

    def span(self, file: FileVersion, start: int, size: int) -> bytes:
        from azure.core import MatchConditions

        data = self._ask(
            file.name,
            lambda: self._client.download_blob(
                self._folder + file.name,
                offset=start,
                length=size,
                etag=f'"{file.version}"',
                match_condition=MatchConditions.IfNotModified,
            ).readall(),
        )
        if len(data) != size:
            raise Transient(f"{self.path(file.name)}: {len(data)} bytes came instead of {size}; try again later")
        return data

    def _list(self) -> Iterator[FileVersion]:
        for found in items(self._page, self.address, may_be_empty=True):
            yield _version(found.name.removeprefix(self._folder), found)

    def _page(self, marker: str | None) -> Page[BlobProperties]:
        def attempt() -> Page[BlobProperties]:
            listed = self._client.list_blobs(self._folder or None, results_per_page=LISTED_AT_ONCE)
            pages = listed.by_page(marker)
            return Page(list(next(pages)), pages.continuation_token or None)  # type: ignore[attr-defined]

        return self._ask("", attempt)

    def _ask(self, name: str, attempt: Callable[[], _T]) -> _T:
        where = self.path(name) if name else self.address

        def explain(status: int, code: str) -> Exception | None:
            if code == "ContainerNotFound":
                return NothingThere(f"{where}: there is no such container: nothing that is stored is changed")
            if code == "BlobArchived":
                return BadData(f"{where}: is archived: bring it back to a tier that can be read")
            return self.gone(name) if name and status in _GONE else None

        return self._service.ask(where, READER, attempt, explain=explain)


def _version(name: str, found: BlobProperties) -> FileVersion:
    if not found.etag:
        raise not_theirs(name)
    return FileVersion(name, found.size, found.etag.strip('"'), found.last_modified)


def _parted(address: str) -> tuple[str, str, str]:
    """Splits an address into the storage account's address, the container's name, and the folder (empty, or with a slash at its end)."""
    parts = urlsplit(address)
    names = [unquote(name) for name in parts.path.split("/") if name]
    account = f"{parts.scheme}://{parts.netloc}"
    if is_loopback(parts.hostname or "") and names:
        account += f"/{names.pop(0)}"  # an emulator has the account in the path, not in the host name
    if not names:
        raise BadData(
            f"{address}: names no container: use https://<account>.blob.core.windows.net/<container>/<folder>"
        )
    return account, names[0], "".join(f"{name}/" for name in names[1:])

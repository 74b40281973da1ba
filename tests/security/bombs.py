"""Small files and answers that stand for hundreds of MB, and the program that reads them in a process of its own.

The program writes, for each file or request, what became of it and by how many MB the process grew at most meanwhile.
"""

from __future__ import annotations

import gzip
import json
import re
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from optiinfra_assets.providers.context import ProviderContext

MIB = 1 << 20
LIMIT = 32 * MIB
BOMB = 96 * MIB


def write_bombs(folder: Path) -> None:
    """Writes one file of each kind."""
    big = pa.array(["x" * BOMB])
    for codec in ("zstd", "gzip", "snappy"):
        _write(folder, f"cell-{codec}", {"a": big}, compression=codec, use_dictionary=False)
    _write(folder, "cell-in-dictionary", {"a": big}, compression="zstd")
    long = ["x" * MIB]
    _write(folder, "fewer-rows-dictionary", {"a": pa.array(long * 250)}, compression="zstd")
    late = ["y"] * 30_000 + long * 100
    _write(
        folder,
        "fewer-rows-late",
        {"n": pa.array(range(30_100)), "a": pa.array(late)},
        compression="zstd",
        write_batch_size=64,
    )
    plain = {"compression": "zstd", "use_dictionary": False, "write_batch_size": 4}
    _write(folder, "fewer-rows-plain", {"n": pa.array(range(30_100)), "a": pa.array(late)}, **plain)
    _write(
        folder, "fewer-rows-beginnings", {"a": pa.array(long * 250)}, column_encoding={"a": "DELTA_BYTE_ARRAY"}, **plain
    )
    count = 4_000_000
    ones = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), ["value of a tag"]).cast(
        pa.string()
    )
    _write(folder, "list", {"a": pa.ListArray.from_arrays(pa.array([0, count], pa.int32()), ones)}, compression="zstd")
    pairs = pa.MapArray.from_arrays(pa.array([0, count], pa.int32()), ones, ones)
    _write(folder, "map", {"a": pairs}, compression="zstd")
    _write(folder, "columns", {f"c{n}": pa.array([1]) for n in range(600)})
    table = pa.table({"a": [1]}).replace_schema_metadata({"x": "y" * MIB})
    pq.write_table(table, folder / "footer.parquet")
    honest = (folder / "cell-zstd.parquet").read_bytes()
    said = pq.read_metadata(folder / "cell-zstd.parquet").row_group(0).column(0).total_uncompressed_size
    (folder / "footer-lies.parquet").write_bytes(honest.replace(_number(said), _number(100)))
    (folder / "page-lies.parquet").write_bytes(honest.replace(_number(BOMB + 4 + 6), _number(100)))
    texts = {
        "row": b"a,b\n1," + b"x" * BOMB,
        "quote": b'a,b\n1,"' + (b"x" * 999 + b"\n") * (BOMB // 1000),
        "values": b"a,b\n" + b"," * (BOMB // 4),
        "names": b"," * (BOMB // 4) + b"\n1\n",
        "empty-lines": b"a,b\n" + b"\n" * (BOMB // 2),
        "rows": b"a,b\n" + b"1,2\n" * (4 * MIB),
    }
    for name, text in texts.items():
        if name in ("row", "rows"):
            (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text, 1))
        (folder / f"{name}.csv.zst").write_bytes(pa.Codec("zstd").compress(text, asbytes=True))


def _write(folder: Path, name: str, columns: dict[str, pa.Array], **options: object) -> None:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet", store_schema=False, **options)


def _number(value: int, size: int = 4) -> bytes:
    """A whole number in Thrift's compact protocol, in `size` bytes whatever its value."""
    rest = value << 1
    return bytes([(rest >> 7 * n & 127) | (128 if n < size - 1 else 0) for n in range(size)])


def _read_file(path: str) -> int:
    from optiinfra_assets.providers.files.location import FileVersion, LocalFolder
    from optiinfra_assets.providers.files.parquet_reader import open_table

    file = Path(path)
    location = LocalFolder(file.parent)
    found = location.current(file.name)
    assert isinstance(found, FileVersion)
    with open_table(location, found) as table:
        return sum(batch.num_rows for batch in table.batches(None, {"n"}))


def _context() -> ProviderContext:
    from optiinfra_assets.providers.context import Deadline, transient_context

    return replace(transient_context(), deadline=Deadline.after(100))


def _ask_ours(address: str, path: str) -> int:
    from optiinfra_assets.providers.http.client import Client

    with Client(address, _context(), headers={}, secrets=[]) as api:
        answer = api.get(path, permission="none")
        return len(answer.fields().values)


def _ask_boto(address: str, path: str) -> int:
    from optiinfra_assets.providers.context import Meter
    from optiinfra_assets.providers.files.s3 import S3Location
    from optiinfra_assets.providers.http.boto_client import BotoCalls, kept_client

    calls = BotoCalls(_context(), Meter())

    def make() -> object:
        return kept_client("s3", "us-east-1", address, key_id="key", secret="secret")

    found = S3Location("s3://bucket", make, calls).fetched(path.removeprefix("/"))
    return len(found[1]) if found else 0


def _ask_service(address: str, path: str) -> int:
    from optiinfra_assets.providers.context import Meter
    from optiinfra_assets.providers.http.boto_client import BotoCalls, kept_client

    client = kept_client("ce", "us-east-1", address + path, key_id="key", secret="secret")
    asked = {"TimePeriod": {"Start": "2026-01-01", "End": "2026-02-01"}, "Granularity": "DAILY", "Metrics": ["X"]}
    return len(BotoCalls(_context(), Meter())(lambda: client.get_cost_and_usage(**asked), "ce", "none"))


def _ask_requests(address: str, path: str) -> int:
    from optiinfra_assets.providers.http.retry import with_retries
    from optiinfra_assets.providers.http.urllib3_transport import guarded_session

    return with_retries(lambda: len(guarded_session().get(address + path).json()), _context(), path)


READERS: dict[str, Callable[..., int]] = {
    "file": _read_file,
    "ours": _ask_ours,
    "boto": _ask_boto,
    "service": _ask_service,
    "requests": _ask_requests,
}


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10


def main() -> None:
    """Reads what standard input names: a list of a name, a reader and its arguments each."""
    from optiinfra_assets.domain import read_memory

    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    read_memory.set_most_bytes(LIMIT)
    told = {}
    for name, reader, *arguments in json.load(sys.stdin):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins again with what the process has now
        before = _status("VmRSS")
        try:
            said = str(READERS[reader](*arguments))
        except Exception as error:  # noqa: BLE001 - the test looks at each
            said = f"{type(error).__name__}: {error}"
        told[name] = (said[:500], _status("VmHWM") - before)
        pa.default_memory_pool().release_unused()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()

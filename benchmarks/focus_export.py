"""The export of line items as FOCUS beside the one in our own columns: rows per second of both, in one run.

``python -m benchmarks.focus_export --rows 5000000`` uses the data set of `benchmarks.export`. Runs alternate, because the load of the
machine changes; the faster of each counts. A ratio of 1 or more says that FOCUS is no slower.
"""

from __future__ import annotations

import argparse
import os

from benchmarks import export
from benchmarks.serving import running
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.settings import Settings

PAIRS = 3


def measure(url: str, settings: Settings, pid: int, rows: int) -> None:
    """Print a line for each format."""
    token = export.viewer(settings)
    print(f"load average {os.getloadavg()[0]:.1f} before")
    heads = ("", "own rows/s", "FOCUS rows/s", "ratio", "own MB", "FOCUS MB", "FOCUS peak MB")
    print(f"{heads[0]:<12}" + "".join(f"{head:>15}" for head in heads[1:]))
    for name, form in (("CSV", ExportFormat.CSV), ("Parquet", ExportFormat.PARQUET)):
        runs = [
            [export.ours(url, pid, token, form, "identity", what) for what in ("line-items", "focus")]
            for _ in range(PAIRS)
        ]
        own, focus = (min(found, key=lambda run: run.seconds) for found in zip(*runs, strict=True))
        figures = (
            f"{rows / own.seconds:,.0f}",
            f"{rows / focus.seconds:,.0f}",
            f"{own.seconds / focus.seconds:.2f}",
            f"{own.size / 1e6:,.0f}",
            f"{focus.size / 1e6:,.0f}",
            f"{focus.peak / 1e6:,.0f}",
        )
        print(f"{name:<12}" + "".join(f"{figure:>15}" for figure in figures), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} after")


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=260_000, help="line items (default: %(default)s)")
    folder, rows = export.filled(parser.parse_args().rows)
    with running(folder) as (url, settings, pid):
        measure(url, settings, pid, rows)


if __name__ == "__main__":
    main()

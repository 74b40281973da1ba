"""The export of line items as FOCUS beside the one in our own columns: CPU seconds and rows per second of both, in one run.

``python -m benchmarks.focus_export --rows 5000000`` uses the data set of `benchmarks.export`. Runs alternate, because the load of the
machine changes; of each the fastest counts, and the one with the least CPU of ClickHouse and the API together. A ratio of 1 or more says
that FOCUS is no slower; that of CPU seconds suffers no neighbours.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

import psutil

from benchmarks import export
from benchmarks.serving import engines, serving
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.settings import Settings


def measure(url: str, settings: Settings, pids: tuple[int, int], rows: int, pairs: int) -> None:
    """Print a line for each format. `pids`: those of the API and of ClickHouse."""
    token = export.viewer(settings)
    print(f"load average {os.getloadavg()[0]:.1f} before")
    heads = ("", "own CPU s", "FOCUS CPU s", "ratio", "own rows/s", "FOCUS rows/s", "ratio", "FOCUS peak MB")
    print(f"{heads[0]:<12}" + "".join(f"{head:>15}" for head in heads[1:]))
    for name, form in (("CSV", ExportFormat.CSV), ("Parquet", ExportFormat.PARQUET)):
        runs = [[_run(url, pids, token, form, what) for what in ("line-items", "focus")] for _ in range(pairs)]
        own, focus = (
            [min(getattr(run, one) for run in found) for one in ("cpu", "seconds")] for found in zip(*runs, strict=True)
        )
        figures = (
            f"{own[0]:.1f}",
            f"{focus[0]:.1f}",
            f"{own[0] / focus[0]:.2f}",
            f"{rows / own[1]:,.0f}",
            f"{rows / focus[1]:,.0f}",
            f"{own[1] / focus[1]:.2f}",
            f"{max(run.peak for _, run in runs) / 1e6:,.0f}",
        )
        print(f"{name:<12}" + "".join(f"{figure:>15}" for figure in figures), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} after")


def _run(url: str, pids: tuple[int, int], token: str, form: ExportFormat, what: str) -> export.Run:
    before = _cpu(pids)
    found = export.ours(url, pids[0], token, form, "identity", what)
    return replace(found, cpu=_cpu(pids) - before)


def _cpu(pids: tuple[int, int]) -> float:
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def main() -> None:
    """Fill the data set if it does not exist, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=260_000, help="line items (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="downloads of each (default: %(default)s)")
    options = parser.parse_args()
    folder, rows = export.filled(options.rows)
    with engines(folder) as (settings, clickhouse), serving("optiinfra_api", settings) as (url, process):
        measure(url, settings, (process.pid, clickhouse), rows, options.pairs)


if __name__ == "__main__":
    main()

"""Medians, ratios, the table and the lines of `results.ndjson`."""

import datetime
import json
import os
import platform
import re
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- table -->", "<!-- end of table -->"


class Row:
    """All runs of one contender in one scenario, at the window it was best with."""

    def __init__(self, scenario, contender: str, server: str, version: str, window, command: str):
        self.scenario, self.contender, self.server = scenario, contender, server
        self.version, self.window, self.command = version, window, command
        self.runs = []

    def value(self, name: str) -> float | None:
        """The median of a figure over the runs."""
        values = [run[name] for run in self.runs if name in run]
        return median(values) if values else None

    def span(self, name: str) -> tuple[float, float]:
        """Least and most of a figure."""
        values = [run[name] for run in self.runs]
        return min(values), max(values)

    def line(self) -> str:
        """One line of JSON, with everything that is needed to doubt it later."""
        metric = self.scenario.metric
        least, most = self.span(metric)
        figures = {name: self.value(name) for name in self.runs[0] if name != metric}
        return json.dumps({
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "scenario": self.scenario.name, "contender": self.contender, "server": self.server,
            "version": self.version, "window": self.window, "runs": len(self.runs), "metric": metric,
            "median": self.value(metric), "min": least, "max": most, **figures,
            "command": self.command, "machine": machine(),
        })


def machine() -> dict:
    """What the figures were measured on."""
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", text)
    return {"cpu": model.group(1) if model else platform.machine(), "kernel": platform.release(), "cores": os.cpu_count()}


def rival(scenario, rows: list[Row]) -> Row | None:
    """Whom weir is compared with: the contender that is named, or the best peer."""
    if scenario.against:
        return next((row for row in rows if row.contender == scenario.against), None)
    peers = [row for row in rows if row.server not in ("weir", "none") and row.runs]
    best = max if scenario.more else min
    return best(peers, key=lambda row: row.value(scenario.metric), default=None)


def ratios(scenario, row: Row, other: Row | None) -> str:
    """The figure as a multiple of the rival's; CPU for each delivery or record likewise."""
    if other is None or other is row or row.server != "weir":
        return ""
    parts = []
    names = {scenario.metric: "", "us_p99": "p99 ", "cpu_ns": "cpu "}
    for name, label in names.items():
        mine, theirs = row.value(name), other.value(name)
        skipped = name == "us_p99" and not scenario.metric.startswith("us_")
        if mine is not None and theirs and not skipped:
            parts.append(f"{label}{mine / theirs:.2f}")
    return ", ".join(parts)


def short(value: float | None) -> str:
    """Three digits and a unit of thousands."""
    if value is None:
        return ""
    for bound, unit in ((1e6, " M"), (1e4, " k")):
        if value >= bound:
            scaled = value / (1e6 if unit == " M" else 1e3)
            return f"{scaled:.3g}{unit}" if scaled < 1000 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


HEAD = ("scenario", "server", "window", "median", "min - max", "unit", "CPU ns each", "p50 / p99 us",
        "server / generator busy %", "lost or odd", "RSS MiB", "to the rival")


def cells(scenario, row: Row, other: Row | None) -> list[str]:
    """One row of the table."""
    least, most = row.span(scenario.metric)
    pair = [row.value(name) for name in ("us_p50", "us_p99")]
    busy = [row.value(name) for name in ("server_busy", "gen_busy")]
    gone = sum(run.get("lost", 0) + run.get("closed", 0) + run.get("odd", 0) for run in row.runs)
    return [
        scenario.name, row.contender, str(row.window or row.scenario.args.get("window", "")),
        short(row.value(scenario.metric)), f"{short(least)} - {short(most)}", scenario.metric,
        short(row.value("cpu_ns")),
        " / ".join(short(value) for value in pair) if None not in pair else "",
        " / ".join(short(value) for value in busy) if None not in busy else "",
        str(gone) if "closed" in row.runs[0] else "",
        short((row.value("rss") or 0) / 2**20) if "rss" in row.runs[0] else "", ratios(scenario, row, other),
    ]


def markdown(results: list[tuple]) -> str:
    """The whole table."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    for scenario, rows in results:
        other = rival(scenario, rows)
        for row in rows:
            if row.runs:
                lines.append("| " + " | ".join(cells(scenario, row, other)) + " |")
    about = machine()
    versions = {row.server: row.version for _, rows in results for row in rows if row.version}
    lines += ["", f"{about['cpu']}, {about['cores']} cores, Linux {about['kernel']}, "
              f"{datetime.date.today().isoformat()}; " + "; ".join(f"{k}: {v}" for k, v in sorted(versions.items()))]
    return "\n".join(lines) + "\n"


def write_readme(path: Path, table: str) -> None:
    """Puts the table between its marks."""
    text = path.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{BEGIN}\n{table}{END}{after}")

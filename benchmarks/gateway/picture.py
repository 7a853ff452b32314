"""The picture of a run, as SVG."""

import io
from collections.abc import Callable, Mapping

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.gateway.figures import IN_TIME, Figures
from benchmarks.gateway.report import BATCHES, CPU_LOAD, PHOTOS, Report

_INK, _PAPER, _GRID = "#1c2330", "#fbfaf7", "#8a94a6"
_COLOURS = ("#e8590c", "#4c8dd6", "#2f9e5f", "#a06cd5", "#c9a227", "#d6508a", "#3aa6a6")
#: The page's colours in a dark browser; matplotlib writes each colour into a style attribute.
_DARK = f"""<style>@media (prefers-color-scheme: dark) {{
[style*="fill: {_PAPER}"] {{ fill: #171a20 !important }}
[style*="fill: {_INK}"] {{ fill: #e8e6e1 !important }}
[style*="stroke: {_INK}"] {{ stroke: #e8e6e1 !important }}
}}</style>
"""


_STYLE = {
    "svg.hashsalt": "vitrine",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.facecolor": "none",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "grid.alpha": 0.3,
}


def svg(report: Report) -> str:
    """Draw the rows of the table. Bars are for 4 (arrays), 16 (photos) and 64 callers (processor time)."""
    projects = list(dict.fromkeys(_project(name) for name in report.cells))
    colours = {name: _COLOURS[projects.index(_project(name)) % len(_COLOURS)] for name in report.cells}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10.5, 12), layout="constrained", facecolor=_PAPER)
        (rates, latencies), (in_time, batches), (photos, cpu), (memory, starts) = figure.subplots(4, 2)
        callers = [load for load in report.loads if load.kind == "picture" and load.callers]
        arrivals = [load for load in report.loads if load.rate]
        _lines(rates, report, colours, {load.title: load.callers for load in callers}, lambda found: found.per_second)
        _lines(latencies, report, colours, {load.title: load.callers for load in callers}, lambda found: found.p99)
        _lines(
            in_time, report, colours, {load.title: load.rate for load in arrivals}, lambda found: 100 * found.in_time
        )
        rates.set(title="28×28 PNG: requests a second", xlabel="callers", ylim=(0, None))
        latencies.set(title="28×28 PNG: 99th percentile, ms", xlabel="callers", yscale="log")
        rates.yaxis.set_major_formatter("{x:,.0f}")
        latencies.yaxis.set_major_formatter("{x:,.0f}")
        latencies.yaxis.set_minor_formatter(NullFormatter())
        in_time.set(title=f"28×28 PNG: answered within {IN_TIME:.0f} ms, %", xlabel="arrivals a second", ylim=(-4, 104))
        _bars(batches, colours, "128 pictures as npy: requests a second", _rate(report, BATCHES))
        _bars(photos, colours, "640×480 photo: requests a second", _rate(report, PHOTOS))
        spent = {name: row[CPU_LOAD].cpu_ms if CPU_LOAD in row else None for name, row in report.cells.items()}
        _bars(cpu, colours, "28×28 PNG: processor ms a request", spent)
        _bars(memory, colours, "Resident memory, MB", {name: sum(report.memory[name].values()) for name in colours})
        _bars(starts, colours, "Cold start, s", report.cold_start)
        figure.legend(*rates.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Title": "Vitrine's gateway and other servers"})
    head, mark, tail = file.getvalue().partition(" <defs>")
    return head + _DARK + mark + tail


def _project(server: str) -> str:
    return server.partition(",")[0]


def _lines(
    axis: Axes,
    report: Report,
    colours: Mapping[str, str],
    positions: Mapping[str, int],
    value: Callable[[Figures], float | None],
) -> None:
    """Draw a line for each server, over callers or arrivals; dashed for two workers, dotted for two processes."""
    for name, row in report.cells.items():
        found = {position: value(row[title]) for title, position in positions.items() if title in row}
        known = {position: number for position, number in found.items() if number is not None}
        dash = "--" if name.endswith("workers") else ":" if name.endswith("processes") else "-"
        axis.plot(list(known), list(known.values()), dash, color=colours[name], marker="o", markersize=4, label=name)
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(positions.values()), [f"{number:,}" for number in positions.values()])
    axis.minorticks_off()
    axis.grid(visible=True)


def _rate(report: Report, load: str) -> dict[str, float | None]:
    return {name: row[load].per_second if load in row else None for name, row in report.cells.items()}


def _bars(axis: Axes, colours: Mapping[str, str], title: str, values: Mapping[str, float | None]) -> None:
    known = {name: value for name, value in values.items() if value is not None}
    bars = axis.barh(list(known), list(known.values()), color=[colours[name] for name in known], height=0.7)
    axis.bar_label(bars, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in known.values()], padding=3)
    axis.set(title=title, xticks=[])
    axis.margins(x=0.15)
    axis.invert_yaxis()
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)

"""Draws the plots of kept results: a program of its own, because matplotlib lives in perf/.venv.

    perf/.venv/bin/python perf/figures/plots.py DIRECTORY < PLOTS

PLOTS is a JSON list of Plot (figures/results.py). The same plots give the same bytes.
"""

import json
import pathlib
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker

from figures.report import number
from figures.results import from_json

COLOURS = ["#1f5fa8", "#d1495b", "#2a9d6f", "#e0a030", "#7a4fa3", "#5c6770"]


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(exist_ok=True)
    # Ids in the file are random otherwise, and text would be drawn as outlines.
    pyplot.rcParams.update({"svg.hashsalt": "gatehouse", "svg.fonttype": "none", "font.family": "sans-serif"})
    for value in json.load(sys.stdin):
        draw(from_json(value), directory)


def draw(plot, directory):
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2))
    (_bars if plot.kind == "bars" else _lines)(axes, plot)
    if plot.level is not None:
        axes.axhline(plot.level, color="#444444", linestyle="--", linewidth=1, label=plot.level_label or None)
    axes.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
    if plot.x_log:
        axes.set_xscale("log")
    if plot.x_ticks:
        axes.set_xticks([at for at, _ in plot.x_ticks], [label for _, label in plot.x_ticks], minor=False)
        axes.xaxis.set_minor_locator(ticker.NullLocator())
    if plot.y_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number(value)))
    axes.grid(axis="y" if plot.kind == "bars" else "both", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(plot.series) > 1 or plot.level_label:
        axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(directory / f"{plot.name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def _lines(axes, plot):
    for colour, series in zip(_colours(plot), plot.series, strict=True):
        axes.plot(series.x, series.y, color=colour, label=series.label, marker="o", markersize=3, linewidth=1.6)
        if series.low:
            axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.15, linewidth=0)


def _bars(axes, plot):
    names = list(dict.fromkeys(x for series in plot.series for x in series.x))
    width = 0.8 / len(plot.series)
    for i, (colour, series) in enumerate(zip(_colours(plot), plot.series, strict=True)):
        at = [names.index(x) + (i - (len(plot.series) - 1) / 2) * width for x in series.x]
        spread = None
        if series.low:
            spread = [
                [y - low for y, low in zip(series.y, series.low, strict=True)],
                [high - y for y, high in zip(series.y, series.high, strict=True)],
            ]
        bars = axes.bar(at, series.y, width * 0.92, color=colour, label=series.label, yerr=spread, capsize=3)
        axes.bar_label(bars, [number(y) for y in series.y], padding=3, fontsize=8)
    axes.set_xticks(range(len(names)), [textwrap.fill(str(name), 14) for name in names])


def _colours(plot):
    return [COLOURS[i % len(COLOURS)] for i in range(len(plot.series))]


if __name__ == "__main__":
    main()

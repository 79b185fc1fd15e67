"""What a figure gives: rows of the big table, tables beside it, plots. All of it goes through JSON."""

import dataclasses
import operator
import re
import statistics
from dataclasses import dataclass, field

_COMPARISONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}


@dataclass
class Measured:
    """The median of several measurements of one thing, and their spread."""

    value: float
    low: float
    high: float

    @staticmethod
    def of(values):
        values = list(values)
        if not values:
            raise ValueError("a median of nothing")
        return Measured(statistics.median(values), min(values), max(values))


@dataclass
class Row:
    """One row of the table: a figure and its bound, such as "<= 1.20"; "" for one that is only shown.

    `unit` is written behind the value. `low` and `high` are the spread, None where there was one run.
    `context` says in a few words what the value alone does not: absolute figures, the machine.
    """

    figure: str
    bound: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""
    context: str = ""

    def __post_init__(self):
        self._limit()

    @staticmethod
    def of(figure, bound, measured, unit="", context=""):
        return Row(figure, bound, measured.value, measured.low, measured.high, unit, context)

    def holds(self):
        """Whether the median is within the bound; None without a bound."""
        limit = self._limit()
        return None if limit is None else _COMPARISONS[limit[0]](self.value, limit[1])

    def _limit(self):
        if not self.bound:
            return None
        match = re.match(r"(<=|>=|<|>) *([0-9][0-9,]*(?:\.[0-9]+)?)", self.bound)
        if not match:
            raise ValueError(f"a bound is like '<= 1.20', not {self.bound!r}")
        return match[1], float(match[2].replace(",", ""))


@dataclass
class Table:
    """A table beside the big one. Cells are text or numbers; `note` is Markdown below it."""

    title: str
    head: list
    rows: list
    note: str = ""


@dataclass
class Series:
    """One line of a plot, or one colour of bars. `low` and `high` draw the spread, if given."""

    label: str
    x: list
    y: list
    low: list = field(default_factory=list)
    high: list = field(default_factory=list)


@dataclass
class Plot:
    """A picture: perf/plots/NAME.svg. `kind` is line or bars (x are then names); `level` draws a line
    across at that height, named `level_label`; `x_ticks` are pairs of a place and its label."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: list
    kind: str = "line"
    x_log: bool = False
    y_log: bool = False
    x_ticks: list = field(default_factory=list)
    level: float | None = None
    level_label: str = ""
    note: str = ""

    def __post_init__(self):
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise ValueError(f"the name of a plot is a file's: {self.name!r}")
        if self.kind not in ("line", "bars"):
            raise ValueError(f"a plot is line or bars, not {self.kind!r}")


_KINDS = {"row": Row, "table": Table, "plot": Plot}


def to_json(item):
    """A dictionary that json can write."""
    for kind, cls in _KINDS.items():
        if isinstance(item, cls):
            return {"kind": kind} | {"plot_kind" if k == "kind" else k: v for k, v in dataclasses.asdict(item).items()}
    raise TypeError(f"a figure gives Row, Table and Plot, not {type(item).__name__}")


def from_json(value):
    """The inverse of to_json."""
    value = dict(value)
    cls = _KINDS[value.pop("kind")]
    if cls is Plot:
        value["kind"] = value.pop("plot_kind")
        value["series"] = [Series(**series) for series in value["series"]]
    return cls(**value)

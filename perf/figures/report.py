"""Writes the generated parts of BENCHMARKS.md from the kept results.

The page has three kinds of places, each between comments: the big table, one section a figure, and the
text between them, which is written by hand and stays. A figure without kept results keeps what the
page says of it, so that a checkout where only one was measured loses none of the others.
"""

import re

from figures.results import Plot, Row, Table

TABLE = ("<!-- table: written by perf/bench -->", "<!-- end of table -->")
SECTIONS = ("<!-- figures: written by perf/bench -->", "<!-- end of figures -->")

_HEAD = ["figure", "at least", "measured", "spread", "holds", "context", "by"]
_ALIGN = ["---", "---:", "---:", "---:", "---", "---", "---"]


def render(page, results, order):
    """The page with what `results` ({name: {"title", "text", "findings", "provenance", "items"}}) say."""
    rows = _kept_rows(page)
    sections = _kept_sections(page)
    for name, result in results.items():
        rows[name] = [_row(item, name) for item in result["items"] if isinstance(item, Row)]
        sections[name] = _section(name, result)
    names = sorted(rows.keys() | sections.keys(), key=lambda name: place(name, order))
    table = [_line(_HEAD), _line(_ALIGN)] + [line for name in names for line in rows.get(name, [])]
    page = _replace(page, TABLE, "\n".join(table))
    return _replace(page, SECTIONS, "\n\n".join(sections[name] for name in names if name in sections))


def place(name, order):
    """A key to sort names of figures by: as in `order`, others after them by name."""
    return (order.index(name) if name in order else len(order), name)


def number(value):
    """A figure as people read it: three significant digits, thousands parted by commas."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def row_cells(row, name):
    unit = f" {row.unit}" if row.unit else ""
    spread = "" if row.low is None else f"{_value(row.low)} to {_value(row.high)}"
    holds = {True: "yes", False: "**falls short**", None: "shown"}[row.holds()]
    bound = f"{row.bound}{unit}" if row.bound and not row.bound.endswith(row.unit or " ") else row.bound
    return [row.figure, bound, _value(row.value) + unit, spread, holds, row.context, f"`perf/bench {name}`"]


def _value(value):
    # A ratio that is close to its bound must not be rounded to it.
    return f"{value:.3f}" if abs(value) < 2 and value != int(value) else number(value)


def _row(row, name):
    return _line(row_cells(row, name))


def _section(name, result):
    parts = [f"<!-- {name} -->\n### {result['title']}", result["text"].strip()]
    parts.append(f"`perf/bench {name}`; {result['provenance']}.")
    rows = [item for item in result["items"] if isinstance(item, Row)]
    if rows:
        head = ["figure", "at least", "measured", "spread", "holds", "context"]
        lines = [_line(head), _line(_ALIGN[:-1])] + [_line(row_cells(row, name)[:-1]) for row in rows]
        parts.append("\n".join(lines))
    for item in result["items"]:
        if isinstance(item, Table):
            parts.append(table(item))
        elif isinstance(item, Plot):
            parts.append(f"![{item.title}](perf/plots/{item.name}.svg)")
            if item.note:
                parts.append(item.note)
    if result["findings"].strip():
        parts.append(result["findings"].strip())
    return "\n\n".join(part for part in parts if part)


def table(item):
    """A Table in Markdown."""
    numeric = [all(not isinstance(row[i], str) for row in item.rows) for i in range(len(item.head))]
    lines = [f"**{item.title}**", "", _line(item.head), _line("---:" if n else "---" for n in numeric)]
    lines += [_line(map(number, row)) for row in item.rows]
    return "\n".join(lines) + (f"\n\n{item.note}" if item.note else "")


def _line(cells):
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _between(page, markers):
    begin, end = page.find(markers[0]), page.find(markers[1])
    if begin < 0 or end < begin:
        raise ValueError(f"BENCHMARKS.md has no place {markers[0]} … {markers[1]}")
    return begin + len(markers[0]), end


def _replace(page, markers, text):
    begin, end = _between(page, markers)
    return f"{page[:begin]}\n{text}\n{page[end:]}"


def _kept_rows(page):
    begin, end = _between(page, TABLE)
    rows = {}
    for line in page[begin:end].splitlines():
        by = re.search(r"\| `perf/bench (\w+)` \|$", line)
        if by:
            rows.setdefault(by[1], []).append(line)
    return rows


def _kept_sections(page):
    begin, end = _between(page, SECTIONS)
    parts = re.split(r"^<!-- (\w+) -->\n", page[begin:end], flags=re.MULTILINE)
    return {name: f"<!-- {name} -->\n{text.strip()}" for name, text in zip(parts[1::2], parts[2::2], strict=True)}

"""Tests of the frame: ratios, parsing, rendering. `./test` runs them: python3 -m unittest."""

import importlib.machinery
import importlib.util
import json
import pathlib
import types
import unittest

from figures import common, report, results
from figures.results import Measured, Plot, Row, Series, Table

PAGE = "\n".join(["# Top", *report.TABLE, "by hand", *report.SECTIONS, "the end", ""])
ORDER = ["first", "second"]


def result(title, *items, findings=""):
    return {"title": title, "text": "How.\n", "findings": findings, "provenance": "commit c", "items": list(items)}


class Pairs(unittest.TestCase):
    def test_ratio_is_the_median_of_ratios_of_pairs(self):
        run = common.Pairs([10, 30, 10], [10, 10, 40])
        # Not the ratio of the medians, which is 1 too, but of other runs.
        self.assertEqual(run.ratio(), Measured(1.0, 0.25, 3.0))
        self.assertEqual((run.median_a(), run.median_b()), (10, 10))

    def test_a_and_b_run_in_turn(self):
        order = []
        common.Bench().pairs(lambda: order.append("a") or 1, lambda: order.append("b") or 1, n=3)
        self.assertEqual("".join(order), "ababab")


class Choice(unittest.TestCase):
    def check(self, named, expected):
        loader = importlib.machinery.SourceFileLoader("bench", str(pathlib.Path(common.ROOT, "perf/bench")))
        bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
        loader.exec_module(bench)
        modules = {"first": types.SimpleNamespace(), "big": types.SimpleNamespace(OPT_IN=True)}
        self.assertEqual(list(bench.choose(modules, named)), expected)

    def test_a_figure_that_wants_to_be_named_only_runs_when_it_is(self):
        self.check([], ["first"])
        self.check(["big"], ["big"])
        self.check(["big", "first"], ["first", "big"])
        self.check(["first"], ["first"])


class Wrk(unittest.TestCase):
    def check(self, text, expected):
        load = common.parse_wrk(text)
        self.assertEqual(
            (load.requests, load.seconds, load.p50_us, load.p90_us, load.p99_us, load.max_us, load.errors), expected
        )

    def test_line_of_our_scripts(self):
        self.check("Running\nRESULT 1000 2000000 10 20 30 40 5\n", (1000, 2.0, 10, 20, 30, 40, 5))

    def test_words_of_wrk(self):
        text = """Running 2s test @ http://127.0.0.1:1
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   690.31us    1.03ms  14.65ms   92.02%
    Req/Sec    87.90k     9.13k  102.45k    65.00%
  Latency Distribution
     50%  296.00us
     75%  640.00us
     90%    1.73ms
     99%    1.20s
  175035 requests in 2.01s, 161.91MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 10
Requests/sec:  87129.24
"""
        self.check(text, (175035, 2.01, 296.0, 1730.0, 1_200_000.0, 14650.0, 17))

    def test_nothing_measured_is_no_figure(self):
        for text in ("", "unable to connect", "RESULT 0 2000000 0 0 0 0 5"):
            with self.subTest(text), self.assertRaises(RuntimeError):
                common.parse_wrk(text)


class OpenLoop(unittest.TestCase):
    def test_percentiles_of_merged_histograms(self):
        one, other = [[1.0, 90], [5.0, 9]], [[5.0, 0], [2.0, 900], [9.0, 1]]
        for percent, expected in [(9, 1.0), (9.1, 2.0), (50, 2.0), (99, 2.0), (99.5, 5.0), (99.9, 5.0), (100, 9.0)]:
            self.assertEqual(common.percentile(one + other, percent), expected, percent)
        with self.assertRaises(ValueError):
            common.percentile([], 50)

    def test_requests_as_they_go_over_the_wire(self):
        self.assertEqual(
            common.raw_request("POST", "authenticate", {}, {"a": 1}),
            b"POST /open_api/v1/authenticate HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\": 1}",
        )
        self.assertTrue(common.raw_request("GET", "products", {"A": "b"}).endswith(b"\r\nA: b\r\n\r\n"))


class Bounds(unittest.TestCase):
    def check(self, bound, value, expected):
        self.assertIs(Row("f", bound, value).holds(), expected)

    def test_each_comparison(self):
        self.check("<= 1.20", 1.2, True)
        self.check("<= 1.20", 1.2001, False)
        self.check("< 1,000 ms", 999.9, True)
        self.check("< 1,000 ms", 1000, False)
        self.check(">= 0.45", 0.45, True)
        self.check(">= 0.45", 0.4499, False)
        self.check("", 7, None)

    def test_a_bound_that_cannot_be_read_is_refused(self):
        with self.assertRaises(ValueError):
            Row("f", "about 2", 2)


class Rendering(unittest.TestCase):
    def test_numbers(self):
        for value, expected in [
            (3, "3"), (1234567.8, "1,234,568"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.12"),
            (0.01234, "0.012"), (0, "0"), ("text", "text"), (None, ""),
        ]:  # fmt: skip
            self.assertEqual(report.number(value), expected)

    def test_a_ratio_is_not_rounded_to_its_bound(self):
        cells = report.row_cells(Row("f", "<= 1.20", 1.2004), "n")
        self.assertEqual(cells[2], "1.200")
        self.assertEqual(cells[4], "**falls short**")
        self.assertEqual(report.row_cells(Row("f", "<= 1.20", 1.204), "n")[2], "1.204")

    def test_rows_and_sections_stand_in_order_and_hand_written_text_stays(self):
        kept = {
            "second": result("Two", Row("b", ">= 2", 1.0, 0.5, 1.5), findings="Why."),
            "first": result("One", Row("a", "< 10 ms", 3, unit="ms"), Table("T", ["x", "y"], [["p|q", 1]])),
        }
        page = report.render(PAGE, kept, ORDER)
        self.assertIn("| a | < 10 ms | 3 ms |  | yes |  | `perf/bench first` |\n| b |", page)
        self.assertIn("| b | >= 2 | 1 | 0.500 to 1.500 | **falls short** |  | `perf/bench second` |", page)
        self.assertIn("| p\\|q | 1 |", page)
        self.assertLess(page.index("### One"), page.index("### Two"))
        self.assertTrue(page.startswith("# Top\n") and page.endswith("\nthe end\n") and "\nby hand\n" in page)
        # Once more over its own output changes nothing.
        self.assertEqual(report.render(page, kept, ORDER), page)

    def test_what_was_not_measured_here_keeps_its_place(self):
        both = {"first": result("One", Row("a", "", 3)), "second": result("Two", Row("b", "", 4), findings="Why.")}
        page = report.render(PAGE, both, ORDER)
        self.assertEqual(report.render(page, {}, ORDER), page)
        again = report.render(page, {"first": result("One", Row("a", "", 5))}, ORDER)
        self.assertIn("| b |  | 4 |", again)
        self.assertIn("### Two", again)
        self.assertIn("Why.", again)
        self.assertIn("| a |  | 5 |", again)
        self.assertNotIn("| a |  | 3 |", again)

    def test_a_page_without_its_places_is_refused(self):
        with self.assertRaises(ValueError):
            report.render("# Top\n", {}, ORDER)

    def test_results_go_through_json(self):
        for item in (
            Row.of("f", "<= 2", Measured(1, 0, 2), "ms", "c"),
            Table("t", ["a"], [[1], ["x"]], "note"),
            Plot("p", "t", "x", "y", [Series("s", [1], [2], [1], [3])], kind="bars", level=3.5),
        ):
            self.assertEqual(results.from_json(json.loads(json.dumps(results.to_json(item)))), item)


class Proc(unittest.TestCase):
    def test_time_of_the_machine(self):
        tick = common._TICK_US
        self.assertEqual(
            common.machine_us("cpu  1 2 3 40 50 6 7 8 100 100\ncpu0 1"), (117 * tick, 19 * tick, 8 * tick)
        )

    def test_cpu_time_and_memory_of_a_process(self):
        with common.Process(["sh", "-c", "while :; do :; done"]) as busy:
            cpu = common.Cpu({"sh": busy})
            while cpu.used_us()["sh"] < 30_000:
                pass
            self.assertGreater(busy.rss_bytes(), 100_000)
            self.assertTrue(busy.runs())
        self.assertFalse(busy.runs())


if __name__ == "__main__":
    unittest.main()

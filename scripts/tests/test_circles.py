"""scripts/circles, on small trees."""

import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest
from unittest import mock

PATH = pathlib.Path(__file__).resolve().parent.parent / "circles"
LOADER = importlib.machinery.SourceFileLoader("circles", str(PATH))
circles = importlib.util.module_from_spec(importlib.util.spec_from_loader("circles", LOADER))
LOADER.exec_module(circles)


class Case(unittest.TestCase):
    def check(self, files, *expected, exceptions=()):
        """Files of a crate `c` by their path, and the lines that begin a circle."""
        said = self.run_on(files, exceptions)
        self.assertEqual([line for line in said if not line.startswith(" ")], list(expected))

    def run_on(self, files, exceptions=()):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                file = root / "c/src" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            with mock.patch.multiple(circles, ROOT=root, EXCEPTIONS=dict.fromkeys(exceptions, "for now")):
                return circles.main().splitlines()


class Circles(Case):
    def test_two_files(self):
        self.check({"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;", "b.rs": ""})
        self.check(
            {"lib.rs": "mod a; mod b;", "a.rs": "use crate::b::B;", "b.rs": "use crate::a::A;"},
            "c: a circle of a, b",
        )

    def test_three_files_and_each_way_to_name_an_item(self):
        rest = {"lib.rs": "mod a; mod b; mod d;", "b.rs": "use super::d::D;", "d.rs": "fn f() { crate::a::g() }"}
        for text in (
            "use crate::b::B;",
            "pub(crate) use crate::b::B;",
            "use crate::{self, b::{self as it, B}};",
            "use crate::b as it; fn f() -> it::B {}",
            "use super::b; fn f(b: &mut b::B) {}",
            "fn f<T: super::b::B>() {}",
            "pub(in crate::a) struct A(pub(super) self::super::b::B);",
            "use crate::b::{self}; fn f(b: &mut b::B) {}",
            "use crate::b::*;",
            "fn f() { use super::b::{c::{}, B,}; }",
            "fn f() { vec![1, crate::b::make()] }",
            "mod inner { fn f() { super::super::b::make() } }",
        ):
            with self.subTest(text):
                self.check({**rest, "a.rs": text}, "c: a circle of a, b, d")

    def test_what_is_no_arrow(self):
        rest = {"lib.rs": "mod a; mod b;", "b.rs": "use crate::a::A;"}
        for text in (
            "//! [`B`](crate::b::B)\n/// [crate::b::B]\n/* crate::b::B */ struct A;",
            '#[doc = "crate::b::B"] fn f() { g("crate::b::B", r#"" crate::b::B"#) }',
            "fn f() { g('\"', b'\\''); h(\"crate::b::B\") }",
            "#[cfg(test)] use crate::b::B;",
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "#[cfg(test)] #[allow(dead_code)] pub(crate) fn f<A, B>() { crate::b::make() }",
            "#[cfg(all(test, unix))] const B: [u8; 1] = crate::b::B;",
            "enum A { #[cfg(test)] B(crate::b::B), #[cfg(test)] C { b: crate::b::B }, D }",
            "mod tests; mod testing; use testing::T;",
            "use crate::b; use ::b::B; use other::b::B as C; fn f(x: C) { x.b::<u8>(); C::b::B; other::crate_b::B }",
            "pub(in crate::b) struct A;",
            "use crate::Missing;",
        ):
            with self.subTest(text):
                files = {**rest, "a.rs": text, "a/tests.rs": "use crate::b::B;", "a/testing.rs": "use crate::b::B;"}
                self.check(files)

    def test_what_surrounds_a_test_is_seen(self):
        rest = {"lib.rs": "mod a; mod b;", "b.rs": "use crate::a::A;"}
        for text in (
            "#[cfg(test)] use other::B; use crate::b::B;",
            "#[cfg(test)] mod more { fn f() {} } use crate::b::B;",
            "#[cfg(test)] pub(crate) const fn f() {} use crate::b::B;",
            "#[cfg(not(test))] use crate::b::B;",
            '#[cfg(any(test, feature = "x"))] use crate::b::B;',
            "struct A { #[cfg(test)] b: u8, c: crate::b::B }",
            "fn f<'a>(a: &'a str) { g('\"'); crate::b::make(); h('\"') }",
        ):
            with self.subTest(text):
                self.check({**rest, "a.rs": text}, "c: a circle of a, b")

    def test_a_folder_counts_as_one(self):
        self.check(
            {
                "lib.rs": "mod api; mod lease;",
                "api/mod.rs": "mod call; mod route;",
                "api/route.rs": "use crate::lease::L;",
                "api/call.rs": "",
                "lease.rs": "mod list;",
                "lease/list.rs": "use crate::api::call::C;",
            },
            "c: a circle of api, lease",
        )

    def test_names_are_followed_to_their_files(self):
        # By way of the root, no two of these are a circle.
        root = "mod a; mod b; mod d; pub use a::A; pub use b::B; use self::d::*;"
        self.check({"lib.rs": root, "a.rs": "use crate::B;", "b.rs": "use super::d::D;", "d.rs": ""})
        files = {"lib.rs": root, "a.rs": "use crate::B;", "b.rs": "use crate::A;", "d.rs": ""}
        self.check(files, "c: a circle of a, b")
        # Of another crate, though it is called as a module here.
        self.check({"lib.rs": "mod a; use a::B; pub use other::a::A;", "a.rs": "use crate::A; use a::B;"})
        # An item that is called as the module that it is in.
        root = "mod a; mod b; mod d; pub use d::d;"
        files = {"lib.rs": root, "a.rs": "use crate::d;", "b.rs": "", "d.rs": "use crate::a::A;"}
        self.check(files, "c: a circle of a, d")

    def test_a_child_and_the_file_of_its_parent(self):
        child = {"x/y.rs": "use super::X;"}
        self.check({**child, "lib.rs": "mod x;", "x.rs": "mod y; struct X;"})
        self.check({**child, "lib.rs": "mod x;", "x.rs": "mod y; pub use y::Y; pub use self::y::make; struct X;"})
        self.check({**child, "lib.rs": "mod x;", "x.rs": "mod y; pub(crate) use y::Y; struct X;"})
        self.check({**child, "lib.rs": "mod x;", "x.rs": "mod y; pub use y::make; fn f(x: X) { x.make() }"})
        for text in (
            "mod y; use y::Y; struct X;",
            "mod y; struct X(y::Y);",
            "mod y; pub use y::Y; struct X(Y);",
        ):
            with self.subTest(text):
                self.check({**child, "lib.rs": "mod x;", "x.rs": text}, "c::x: a circle of its own file, y")

    def test_each_program_is_a_crate(self):
        self.check(
            {
                "lib.rs": "pub mod a; pub struct Root;",
                "a.rs": "use crate::Root;",
                "main.rs": "use c::a::A;",
                "bin/x/main.rs": "mod y; use y::Y; struct X;",
                "bin/x/y.rs": "use crate::X;",
            },
            "c: a circle of its own file, y",
        )

    def test_the_lines_of_arrows_are_told(self):
        a = "//!\nuse crate::{\n    b::B,\n};\nconst C: B = B::new();"
        files = {"lib.rs": "mod a;\nmod b;", "a.rs": a, "b.rs": "\nuse crate::a::A;"}
        self.assertEqual(
            self.run_on(files),
            [
                "c: a circle of a, b",
                "    a -> b",
                "        c/src/a.rs:3 crate::b::B",
                "    b -> a",
                "        c/src/b.rs:2 crate::a::A",
            ],
        )


class Exceptions(Case):
    FILES = {"lib.rs": "mod x;", "x.rs": "mod y; struct X(y::Y);", "x/y.rs": "use super::X;"}

    def test_a_crate_or_a_folder(self):
        self.check(self.FILES, exceptions=["c"])
        self.check(self.FILES, exceptions=["c::x"])
        for other in ("c::x::y", "c::", "d"):
            self.check(
                self.FILES,
                "c::x: a circle of its own file, y",
                f"no circle in {other} any more: take it out of EXCEPTIONS, in scripts/circles",
                exceptions=[other],
            )

    def test_one_that_has_no_circle_is_told(self):
        self.check(
            {"lib.rs": ""},
            "no circle in c any more: take it out of EXCEPTIONS, in scripts/circles",
            exceptions=["c"],
        )


if __name__ == "__main__":
    unittest.main()

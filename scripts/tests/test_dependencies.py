"""scripts/dependencies, on small crates and on what cargo says of none."""

import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest
from unittest import mock

PATH = pathlib.Path(__file__).resolve().parent.parent / "dependencies"
LOADER = importlib.machinery.SourceFileLoader("dependencies", str(PATH))
dependencies = importlib.util.module_from_spec(importlib.util.spec_from_loader("dependencies", LOADER))
LOADER.exec_module(dependencies)

LIB = "src/lib.rs"
TARGETS = {LIB: "lib", "src/main.rs": "bin", "build.rs": "custom-build", "tests/t.rs": "test", "benches/b.rs": "bench"}


def dependency(name, kind=None, rename=None):
    return {"name": name, "kind": kind, "rename": rename}


class Case(unittest.TestCase):
    def check_names(self, files, declared, *expected, crates=(), exceptions=()):
        """Files of a crate `c` by their path, what it declares, and what is said of that."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in files.items():
                file = root / "c" / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            package = {
                "manifest_path": str(root / "c/Cargo.toml"),
                "dependencies": declared,
                "targets": [
                    {"kind": [kind], "src_path": str(root / "c" / path)}
                    for path, kind in TARGETS.items() if path in files
                ],
            }
            with mock.patch.multiple(dependencies, ROOT=root):
                said = list(dependencies.check_names([package], dict(crates), dict.fromkeys(exceptions, "for now")))
            self.assertEqual(said, list(expected))


class Names(Case):
    UNNAMED = "c: nothing names dep: take it out"
    IN_TESTS = "c: only tests name dep: it belongs under dev-dependencies"
    NOT_IN_TESTS = "c: no test names dep: take it out"
    NOT_IN_BUILD = "c: no build script names dep: take it out"

    def test_each_way_to_name_one(self):
        for text in (
            "use dep;",
            "use dep as other;",
            "use dep::D;",
            "use ::dep::D;",
            "pub(crate) use dep::*;",
            "use {other::O, dep::{self, D}};",
            "fn f() { use dep::D; }",
            "fn f(d: &dep::D) -> Vec<dep::D> {}",
            "fn f() { let d = <dep::D as dep::T>::new(); g(::dep::D) }",
            "fn f() { println!(\"{}\", dep::VERSION) }",
            "#[derive(Clone, dep::D)] struct S { #[dep::skip] a: u8 }",
            "mod inner { fn f() { vec![dep::make()] } }",
            "#[cfg(unix)] use dep::D;",
            "#[cfg(not(test))] use dep::D;",
            "fn f<'a>(a: &'a str) { g('\"'); dep::make(); h('\"', b'\\'') }",
            "use other::dep; use dep::D;",
        ):
            with self.subTest(text):
                self.check_names({LIB: text}, [dependency("dep")])

    def test_what_names_none(self):
        for text in (
            "",
            "//! [`D`](dep::D)\n// use dep::D;\n/* dep::D */",
            'fn f() { g("dep::D", r#"" dep::D"#) }',
            "fn f(dep: u8) -> u8 { self.dep + dep }",
            "use other::dep; fn f() { dep::make() }",
            "use other::{dep, O}; fn f() { dep::make() }",
            "use crate::{dep::D, O};",
            "mod dep { pub fn make() {} } fn f() { dep::make() }",
            "fn f() { crate::dep::make(); self.dep::<u8>(); Other::dep::<u8>(); <O>::dep::<u8>(); $dep::make() }",
            "use dep_more::D; fn f() { a_dep::make() }",
        ):
            with self.subTest(text):
                self.check_names({LIB: text}, [dependency("dep")], self.UNNAMED)

    def test_files_of_modules(self):
        for root in (LIB, "src/main.rs"):
            for child in ("src/a.rs", "src/a/mod.rs"):
                files = {root: "mod a;", child: "mod b;", "src/a/b.rs": "use dep::D;"}
                self.check_names(files, [dependency("dep")])
        # That is no module of the crate.
        self.check_names({LIB: "", "src/a.rs": "use dep::D;"}, [dependency("dep")], self.UNNAMED)

    def test_what_the_code_calls_a_package(self):
        self.check_names({LIB: "use my_dep::D;"}, [dependency("my-dep")])
        self.check_names({LIB: "use dep::D;"}, [dependency("my-dep", rename="dep")])
        self.check_names({LIB: "use dep::D;"}, [dependency("my-dep")], crates={"my-dep": "dep"})
        packages = [
            {"name": "my-dep", "targets": [{"name": "dep-d", "kind": ["proc-macro"]}, {"name": "x", "kind": ["bin"]}]},
            {"name": "other", "targets": [{"name": "other", "kind": ["rlib"]}, {"name": "y", "kind": ["test"]}]},
        ]
        self.assertEqual(dependencies.crates_of(packages), {"my-dep": "dep_d", "other": "other"})

    def test_a_normal_one_that_only_tests_name(self):
        for text in (
            "#[cfg(test)] use dep::D;",
            "#[cfg(test)] mod tests { use dep::D; }",
            "#[cfg(test)] #[allow(dead_code)] pub(crate) fn f<A, B>() { dep::make() }",
            "#[cfg(all(test, unix))] const D: [u8; 1] = dep::D;",
            "enum A { #[cfg(test)] B(dep::B), #[cfg(test)] C { b: dep::B }, D }",
            "#[cfg(all(unix, any(test)))] mod more;",
            "#[cfg(test)] mod more;",
            "/// ```\n/// use dep::D;\n/// ```\nfn f() {}",
            "//! Text.\n//!\n//! ```no_run\n//! # fn main() {\n//! dep::make();\n//! # }\n//! ```",
            "mod a {\n /// ```compile_fail,E0505\n /// dep::make(})\n /// ```\n fn f() {} }",
        ):
            with self.subTest(text):
                self.check_names({LIB: text, "src/more.rs": "use dep::D;"}, [dependency("dep")], self.IN_TESTS)
                self.check_names({LIB: text, "src/more.rs": "use dep::D;"}, [dependency("dep", "dev")])
        for path in ("tests/t.rs", "benches/b.rs"):
            self.check_names({LIB: "", path: "use dep::D;"}, [dependency("dep")], self.IN_TESTS)
            self.check_names({LIB: "", path: "use dep::D;"}, [dependency("dep", "dev")])

    def test_what_surrounds_a_test_is_no_test(self):
        for text in (
            "#[cfg(test)] use other::O; use dep::D;",
            "#[cfg(test)] mod tests { fn f() {} } use dep::D;",
            "#[cfg(test)] pub(crate) const fn f() {} use dep::D;",
            "struct A { #[cfg(test)] b: u8, c: dep::D }",
            "#[cfg(not(all(unix, test)))] use dep::D;",
            "/// ```text\n/// use dep::D;\n/// ```\nuse dep::D;",
        ):
            with self.subTest(text):
                self.check_names({LIB: text}, [dependency("dep")])
                self.check_names({LIB: text}, [dependency("dep", "dev")], self.NOT_IN_TESTS)

    def test_what_is_for_tests_of_other_crates_is_both(self):
        text = '#[cfg(any(test, feature = "testing"))] pub mod testing { use dep::D; }'
        self.check_names({LIB: text}, [dependency("dep"), dependency("dep", "dev")])

    def test_build_scripts(self):
        self.check_names({LIB: "", "build.rs": "use dep::D;"}, [dependency("dep", "build")])
        self.check_names({LIB: "", "build.rs": "use dep::D;"}, [dependency("dep")], self.UNNAMED)
        self.check_names({LIB: "use dep::D;", "build.rs": ""}, [dependency("dep", "build")], self.NOT_IN_BUILD)

    def test_exceptions(self):
        unneeded = "{}: dep needs no exception: take it out of EXCEPTIONS, in scripts/dependencies"
        self.check_names({LIB: ""}, [dependency("dep")], exceptions=[("c", "dep")])
        named = {LIB: "use dep::D;"}
        self.check_names(named, [dependency("dep")], unneeded.format("c"), exceptions=[("c", "dep")])
        self.check_names({LIB: ""}, [], unneeded.format("c"), exceptions=[("c", "dep")])
        self.check_names({LIB: ""}, [dependency("dep")], self.UNNAMED, unneeded.format("d"), exceptions=[("d", "dep")])


class Licences(unittest.TestCase):
    def check(self, licence, *expected, licences=("MIT",), in_files=(), source=dependencies.CRATES_IO):
        """What is said of a package, beside one that is needed for MIT."""
        packages = [
            {"name": name, "version": "1.2.3", "license": said, "source": where}
            for name, said, where in (("dep", licence, source), ("other", "MIT", dependencies.CRATES_IO))
        ]
        said = dependencies.check_licences(packages, dict.fromkeys(licences, "why not"), dict(in_files))
        self.assertEqual(list(said), list(expected))

    def test_expressions(self):
        for expression in (
            "MIT", "MIT OR X", "X OR MIT", "X OR Y OR MIT", "X/MIT", "MIT / X", "MIT AND Zlib", "(MIT)",
            "MIT OR X AND Y", "X AND Y OR MIT", "(X OR MIT) AND Zlib", "MIT AND (X OR (Zlib AND MIT))",
            "X WITH E OR MIT", "MIT WITH F", "MIT WITH F AND Zlib",
        ):
            with self.subTest(expression):
                self.assertTrue(dependencies.is_allowed(expression, {"MIT", "Zlib", "MIT WITH F"}))
        for expression in (
            "", "X", "MITX", "X OR Y", "X/Y", "MIT AND X", "X AND MIT", "(MIT OR Zlib) AND X", "MIT AND (X OR Y)",
            "MIT WITH E", "MIT AND X OR X", "MIT Zlib", "(MIT", "MIT)", "MIT AND", "MIT-0", "MIT+",
        ):
            with self.subTest(expression):
                self.assertFalse(dependencies.is_allowed(expression, {"MIT", "Zlib", "MIT WITH F"}))

    def test_one_that_is_not_on_the_list(self):
        self.check("MIT OR X")
        self.check("X", "dep 1.2.3: X is not allowed by LICENCES, in scripts/dependencies")
        # One of ours.
        self.check("X", source=None)
        self.check(None, source=None)

    def test_one_that_no_package_needs(self):
        for licence in ("MIT", "MIT OR Zlib"):
            unneeded = "no package needs Zlib: take it out of LICENCES, in scripts/dependencies"
            self.check(licence, unneeded, licences=["MIT", "Zlib"])
        self.check("MIT AND Zlib", licences=["MIT", "Zlib"])

    def test_one_that_is_in_a_file(self):
        self.check(None, "dep 1.2.3: names no licence: read its files, and say it in LICENCES_IN_FILES")
        self.check(None, in_files={"dep": "MIT"})
        refused = "dep 1.2.3: X is not allowed by LICENCES, in scripts/dependencies"
        self.check(None, refused, in_files={"dep": "X"})
        unneeded = "dep says its licence, or is gone: take it out of LICENCES_IN_FILES, in scripts/dependencies"
        self.check("MIT", unneeded, in_files={"dep": "MIT"})


class Sources(unittest.TestCase):
    def check(self, source, *expected, folder=None):
        locked = {"name": "dep", "version": "1.2.3"} | ({"source": source} if source else {})
        packages = [{"name": "dep", "source": source, "manifest_path": f"{folder}/Cargo.toml"}] if folder else []
        self.assertEqual(list(dependencies.check_sources({"Cargo.lock": [locked]}, packages)), list(expected))

    def test_of_crates_io_or_ours(self):
        self.check("registry+https://github.com/rust-lang/crates.io-index")
        self.check(None, folder=dependencies.ROOT / "dep")

    def test_of_elsewhere(self):
        found = "Cargo.lock: dep is from {}, not from crates.io"
        for source in ("registry+https://crates.example/index", "git+https://git.example/dep?rev=1#1"):
            self.check(source, found.format(source), folder=dependencies.ROOT / "dep")
        self.check(None, found.format("a folder elsewhere"), folder=dependencies.ROOT.parent / "dep")
        self.check(None, found.format("a folder elsewhere"))


class Versions(unittest.TestCase):
    def check(self, packages, *expected, older=()):
        """Packages by name and version, each with what it needs."""
        lock = []
        for package, needed in packages.items():
            name, version = package.split()
            lock.append({"name": name, "version": version} | ({"dependencies": needed} if needed else {}))
        said = dependencies.check_versions({"x/Cargo.lock": lock}, dict(older))
        self.assertEqual(list(said), list(expected))

    TWO = {"dep 0.9.1": [], "dep 0.10.0": [], "a 1.0.0": ["dep 0.10.0"], "b 1.0.0": ["dep 0.9.1"]}
    FOUND = "x/Cargo.lock: b needs dep 0.9 beside 0.10.0: raise it, or say so in OLDER, in scripts/dependencies"

    def test_two(self):
        self.check({"dep 0.9.1": [], "a 1.0.0": ["dep"], "b 1.0.0": ["dep"]})
        self.check(self.TWO, self.FOUND)
        self.check(self.TWO, older={"dep 0.9": ["b"]})
        with_source = self.TWO | {"b 1.0.0": ["dep 0.9.1 (registry+https://crates.example/index)"]}
        self.check(with_source, self.FOUND)

    def test_who_needs_it_counts(self):
        unneeded = "{} needs no dep 0.9 beside a newer one: take it out of OLDER, in scripts/dependencies"
        self.check(self.TWO, self.FOUND, unneeded.format("a"), older={"dep 0.9": ["a"]})
        self.check(self.TWO, unneeded.format("c"), older={"dep 0.9": ["b", "c"]})
        self.check({"dep 0.9.1": [], "b 1.0.0": ["dep"]}, unneeded.format("b"), older={"dep 0.9": ["b"]})

    def test_what_only_older_ones_need_goes_with_them(self):
        rest = {"low 1.0.0": [], "low 2.0.0": [], "dep 0.9.1": ["low 1.0.0"], "dep 0.10.0": ["low 2.0.0"]}
        users = {"a 1.0.0": ["dep 0.10.0"], "b 1.0.0": ["dep 0.9.1"]}
        self.check({**rest, **users}, older={"dep 0.9": ["b"]})
        self.check(
            {**rest, **users, "a 1.0.0": ["dep 0.10.0", "low 1.0.0"]},
            "x/Cargo.lock: a needs low 1 beside 2.0.0: raise it, or say so in OLDER, in scripts/dependencies",
            older={"dep 0.9": ["b"]},
        )

    def test_three(self):
        three = {"dep 1.2.0": [], "dep 2.0.0-rc.1": [], "dep 10.0.0+x": [], "b 1.0.0": ["dep 1.2.0", "dep 2.0.0-rc.1"]}
        self.check(three, older={"dep 1": ["b"], "dep 2": ["b"]})
        self.check(
            three,
            "x/Cargo.lock: b needs dep 2 beside 10.0.0+x: raise it, or say so in OLDER, in scripts/dependencies",
            older={"dep 1": ["b"]},
        )

    def test_series(self):
        by_version = {"1.2.3": "1", "0.2.3": "0.2", "0.0.3": "0.0.3", "0.0.0": "0.0.0", "10.0.0-a.1": "10"}
        for version, series in by_version.items():
            self.assertEqual(dependencies.series_of(version), series)


class Table(unittest.TestCase):
    def test_what_a_crate_takes(self):
        for manifest in (
            {"dependencies": {"dep": {"workspace": True}}},
            {"dev-dependencies": {"dep": {"workspace": True, "features": ["x"]}}},
            {"build-dependencies": {"dep": {"workspace": True}}},
            {"target": {"cfg(unix)": {"dependencies": {"dep": {"workspace": True}}}}},
        ):
            self.assertEqual(list(dependencies.check_table({"dep": "1"}, [{}, manifest])), [])

    def test_what_none_takes(self):
        unused = ["Cargo.toml: no crate takes dep from the table of dependencies"]
        for entries in ({}, {"dep": "1", "other": {"workspace": True}}, {"dep": {"path": "dep"}}):
            manifest = {"dependencies": entries}
            self.assertEqual(list(dependencies.check_table({"dep": "1"}, [manifest])), unused)


class Reasons(unittest.TestCase):
    PAGE = """# A page

| crate | for |
|---|---|
| elsewhere | nothing |

## Dependencies

Each is needed.

| crate | for | why this one |
|---|---|---|
| dep | this | `other` |
| a, b-c | that | |

## More

| elsewhere | nothing |
"""

    def check(self, names, *expected, page=PAGE):
        table = dict.fromkeys(names, "1") | {"ours": {"path": "ours"}}
        self.assertEqual(list(dependencies.check_reasons(table, page)), list(expected))

    def test_each_is_told(self):
        self.check(["dep", "a", "b-c"])
        self.check([], page="## Dependencies\n")

    def test_one_that_is_not(self):
        self.check(["dep", "a", "b-c", "other"], "ARCHITECTURE.md: Dependencies has no reason for other")
        self.check(["elsewhere"], "ARCHITECTURE.md: Dependencies has no reason for elsewhere", page="# A page\n")

    def test_one_that_is_none(self):
        self.check(["dep", "b-c"], "ARCHITECTURE.md: Dependencies has a, which is none in the root's Cargo.toml")


if __name__ == "__main__":
    unittest.main()

//! The commands of a page, run as they stand there: apart from places, which are those of the test.

use std::path::Path;
use std::process::{Command, Output};

use e2e::Binaries;

/// A page of `docs/` in which places of the page stand for places of this test.
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Each of `places` is a text of the page, and what stands for it here.
    pub(crate) fn new(text: &str, places: &[(&str, &str)]) -> Self {
        let mut text = text.to_owned();
        for (printed, here) in places {
            assert!(text.contains(printed), "the page has no {printed}");
            text = text.replace(printed, here);
        }
        Self { text }
    }

    /// What stands between lines of three backticks, where the first one names `language`, in order.
    pub(crate) fn blocks(&self, language: &str) -> Vec<&str> {
        let mut blocks = Vec::new();
        let mut rest = self.text.as_str();
        while let Some((_, after)) = rest.split_once("\n```") {
            let (info, body) = after.split_once('\n').expect("a block has a first line");
            let (body, after) = body.split_once("\n```").expect("a block has an end");
            if info == language {
                blocks.push(body);
            }
            // The line break in front of the next block may be the one behind this.
            rest = after;
        }
        blocks
    }

    /// Their lines, without those that say something to the reader.
    pub(crate) fn lines(&self, language: &str) -> impl Iterator<Item = &str> {
        let lines = self.blocks(language).into_iter().flat_map(str::lines);
        lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    /// What the commands of the page export under this name.
    pub(crate) fn setting(&self, name: &str) -> &str {
        let mut lines = self.lines("sh");
        let value = lines
            .find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("the page exports no {name}"))
    }
}

/// Runs lines of a shell as an operator does who has the programs in the path.
#[track_caller]
pub(crate) fn shell(lines: &str, directory: &Path) -> Output {
    let programs = Binaries::of_tests().directory().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", lines]).current_dir(directory);
    command.env("PATH", format!("{programs}:{path}"));
    command.output().expect("bash runs")
}

/// The same for lines that end well. Returns standard output.
#[track_caller]
pub(crate) fn shell_succeeds(lines: &str, directory: &Path) -> String {
    let output = shell(lines, directory);
    assert!(output.status.success(), "{lines}: {output:?}");
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}

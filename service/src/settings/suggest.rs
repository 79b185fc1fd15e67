//! The known name that was probably meant by an unknown one.

use crate::limits::SUGGESTION_EDITS_MAX;

/// The known name nearest to `unknown`, or `None` when none is near.
///
/// Distance is counted in edits of bytes: insert, delete, replace, or swap two neighbours (optimal
/// string alignment).
pub(super) fn nearest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        // Keeps the table of `distance` small whatever an operator's file holds.
        .filter(|name| name.len().abs_diff(unknown.len()) <= SUGGESTION_EDITS_MAX)
        .map(|name| (distance(unknown.as_bytes(), name.as_bytes()), name))
        .filter(|&(edits, _)| edits <= SUGGESTION_EDITS_MAX)
        .min()
        .map(|(_, name)| name)
}

fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let edited = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swaps = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swaps { edited.min(rows[i - 2][j - 2] + 1) } else { edited }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unknown: &str, expected: Option<&str>) {
        let known = ["listen", "ops-listen", "lease", "log-level"];
        assert_eq!(nearest(unknown, known), expected, "{unknown}");
    }

    #[test]
    fn names_within_two_edits_are_suggested() {
        check("listne", Some("listen"));
        check("lisen", Some("listen"));
        check("ops_listen", Some("ops-listen"));
        check("leese", Some("lease"));
        check("loglevel", Some("log-level"));
        check("lease-length", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }
}

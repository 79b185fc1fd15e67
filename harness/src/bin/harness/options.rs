//! Words of a command line, as `--option value`.

use crate::failure::Failure;

/// What was given.
#[derive(Debug)]
pub(crate) struct Options {
    given: Vec<(String, String)>,
}

impl Options {
    /// Reads words that are all options in `known`, each with a value.
    pub(crate) fn parse(words: Vec<String>, known: &[&str]) -> Result<Self, Failure> {
        let mut given = Vec::new();
        let mut words = words.into_iter();
        while let Some(option) = words.next() {
            if !known.contains(&option.as_str()) {
                let known = known.join(", ");
                return Err(Failure::Usage(format!(
                    "no such option: {option:?}; there are {known}"
                )));
            }
            let value = words.next();
            let value = value.ok_or_else(|| Failure::Usage(format!("{option} wants a value")))?;
            given.push((option, value));
        }
        Ok(Self { given })
    }

    /// The value of an option; the last one, if it was given more than once.
    pub(crate) fn one(&self, option: &str) -> Option<&str> {
        self.all_of(option).last()
    }

    /// All values of an option, in their order.
    pub(crate) fn all(&self, option: &str) -> Vec<String> {
        self.all_of(option).map(str::to_owned).collect()
    }

    fn all_of(&self, option: &str) -> impl Iterator<Item = &str> {
        self.given.iter().filter(move |(given, _)| given == option).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, Failure> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(words, &["--data", "--wrap"])
    }

    #[test]
    fn options_are_read() {
        let options = parse(&["--wrap", "taskset", "--data", "a", "--wrap", "1", "--data", "b"]);
        let options = options.ok().unwrap();
        assert_eq!(options.all("--wrap"), ["taskset", "1"]);
        assert_eq!((options.one("--data"), options.one("--other")), (Some("b"), None));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        fn check(words: &[&str], expected: &str) {
            let Err(Failure::Usage(what)) = parse(words) else { panic!("{words:?} is understood") };
            assert!(what.contains(expected), "{what}");
        }
        check(&["--dta", "a"], "--dta");
        check(&["a"], "\"a\"");
        check(&["--data"], "--data wants a value");
    }
}

//! `auth_back import`: takes over the users of another system, with the passwords they have.
//!
//! Each line becomes a user whole or not at all, and is judged by itself: a bad one is told and passed
//! over. Users go into the store in transactions of [`IMPORT_BATCH_MAX`], while servers run. What was
//! imported is recognised when it comes again, so an import that was killed is run again.

mod cost;
mod report;
mod row;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use credentials::ids::{NodeId, Snowflakes, UserId};
use credentials::{PepperKeyring, Username};
use hashing::HashEngine;
use server::node::Ids;
use server::opening;
use server::settings::{EngineChoice, Settings};
use server_time::ServerTime;
use store::limits::IMPORT_BATCH_MAX;
use store::{Imported, Store, Trial};

use self::cost::Costs;
use self::report::Report;
use self::row::{Prepared, Row};
use super::console::say;
use super::interrupt;
use super::interrupt::Interruptible;
use super::node::{CommandNode, next_id};
use super::progress::{Progress, Unit};
use super::store_access::patiently;
use super::subcommand::{Done, Subcommand, Telling};
use super::users_file::{Column, Columns, Format, Line, Lines};
use crate::limits::{IMPORT_LINE_BYTES_MAX, IMPORT_PEPPERS_FRESH_FOR};

pub(super) const COMMAND: Subcommand = Subcommand {
    command,
    run,
    telling: |arguments| {
        if arguments.get_flag("dry-run") { Telling::After } else { Telling::Before }
    },
};

/// Tries to find an id that nobody has. One server and one command of the same node never meet; two
/// commands may.
const ID_TRIES_MAX: u32 = 3;

fn command() -> Command {
    Command::new("import")
        .about("Take over users of another system, with their password hashes")
        .long_about(
            "Take over users of another system, with their password hashes.\n\n\
             FILE has one user a line, as CSV with a header or as JSON objects: username, password_hash, \
             and if you like name, age, created_at, disabled. Hashes are argon2, bcrypt, scrypt or PBKDF2, \
             in PHC, modular crypt or Django's form, or what export wrote, with user_id. At their next \
             login each is replaced by one of ours.\n\n\
             Until then, logging in takes as long as the old hash does. At its end the import says how many hashes of \
             ours they are worth, measured on this machine, and names lines that take longer than http_front waits \
             (2 seconds, unless its --request-timeout says otherwise): these users cannot log in until it waits longer, \
             or they get a new password (auth_back user set-password). A password that is not in Unicode's form NFC is \
             tried in both forms, which takes twice as long.\n\n\
             In CSV, a cell with a comma (argon2 hashes have some) stands between quotes, and no cell has a \
             line break. An apostrophe before a formula is taken away, as export puts it there.\n\n\
             A line that is not taken is told and passed over; the exit code is then 1. Run again, an \
             import goes on where it was stopped.",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file, or - for standard input"))
        .arg(Format::argument())
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Check every line, also against the store, and write nothing"),
        )
        .arg(
            Arg::new("ignore-columns")
                .long("ignore-columns")
                .action(ArgAction::SetTrue)
                .help("Pass over columns that are not known, instead of refusing them"),
        )
        .arg(
            Arg::new("on-taken")
                .long("on-taken")
                .value_name("WHAT")
                .value_parser(PossibleValuesParser::new(["refuse", "skip"]))
                .default_value("refuse")
                .help("What to do with a line whose username somebody else has: refuse makes the exit code 1"),
        )
        .arg(
            Arg::new("report")
                .long("report")
                .value_name("FILE")
                .help("Write what was wrong with which line, as JSON lines"),
        )
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let text = |name| arguments.get_one::<String>(name);
    let path = text("file").expect("the parser insists").as_str();
    let format = Format::of(text("format").map(String::as_str), path)?;
    let (input, size): (Box<dyn Read>, _) = if path == "-" {
        (Box::new(Interruptible::stdin()?), None)
    } else {
        let file = File::open(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        // A pipe has no size to compare with.
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|it| it.len());
        (Box::new(Interruptible(file)), size)
    };
    let report = Report::open(text("report"))
        .map_err(|error| format!("cannot write the report: {error}"))?;
    let store = super::store_access::open_store(settings)?;
    let time = super::store_access::server_time(&*store)?;
    let peppers = || {
        opening::peppers(settings, &*store, time.now().ms(), super::store_access::store_deadline())
    };
    let options = Options {
        format,
        ignore_columns: arguments.get_flag("ignore-columns"),
        skip_taken: text("on-taken").is_some_and(|what| what == "skip"),
        trial: if arguments.get_flag("dry-run") { Trial::Rehearsal } else { Trial::Real },
    };
    let node = match options.trial {
        Trial::Real => Some(CommandNode::take(&store, &time)?),
        Trial::Rehearsal => None,
    };
    // Nothing stays of a rehearsal, so its ids are nobody's.
    let of_nobody = || Arc::new(Ids::new(Snowflakes::new(NodeId::FIRST)));
    let ids = node.as_ref().map_or_else(of_nobody, CommandNode::ids);
    let progress = Progress::new(Unit::Bytes, size);
    let import =
        Import { store: &*store, time: &time, peppers: &peppers, ids: &ids, options, progress };
    let (engine, params) = (fast_engine(settings), settings.rules.params);
    let measure = |kind| cost::measure(kind, engine, params);
    let mut costs = Costs::new(params, &measure)?;
    interrupt::watch()?;
    let mut summary = Summary::default();
    let done = import.run(input, report, &mut costs, &mut summary);
    // What is done stays done, also where the rest of it failed. A file that is none has no lines.
    if done.is_ok() || summary.lines > 0 {
        say(&summary.to_text(options.trial))?;
    }
    interrupt::check(|| "the lines after these were not read; run it again to go on".to_owned())?;
    done?;
    costs.to_text().iter().try_for_each(|line| say(line))?;
    match summary.refused {
        0 => Ok(()),
        refused => Err(format!("{refused} of {} lines were refused", summary.lines).into()),
    }
}

/// The engine that a server with these settings hashes with, or nearly: here it need not be compared with the other.
fn fast_engine(settings: &Settings) -> HashEngine {
    match settings.hash_engine {
        EngineChoice::Auto => HashEngine::Simd,
        EngineChoice::Reference => HashEngine::Reference,
    }
}

#[derive(Clone, Copy)]
struct Options {
    format: Format,
    ignore_columns: bool,
    skip_taken: bool,
    trial: Trial,
}

/// Lines by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Summary {
    lines: u64,
    created: u64,
    already_there: u64,
    skipped: u64,
    refused: u64,
}

struct Import<'a> {
    store: &'a dyn Store,
    time: &'a ServerTime,
    /// Reads the peppers.
    peppers: &'a dyn Fn() -> Result<PepperKeyring, Box<dyn Error>>,
    ids: &'a Ids,
    options: Options,
    progress: Progress,
}

impl Import<'_> {
    /// Brings in every line, and counts in `summary` what became of them, also if it fails in the middle.
    fn run(
        &self,
        input: impl Read,
        mut report: Report,
        costs: &mut Costs<'_>,
        summary: &mut Summary,
    ) -> Done {
        let done = self.bring_in(input, &mut report, costs, summary);
        self.progress.finish();
        summary.refused = report.refused();
        report.finish()?;
        done
    }

    fn bring_in(
        &self,
        input: impl Read,
        report: &mut Report,
        costs: &mut Costs<'_>,
        summary: &mut Summary,
    ) -> Done {
        let mut lines = Lines::new(input);
        let columns = match self.options.format {
            Format::Csv => self.header(&mut lines)?,
            Format::JsonLines => Columns::JsonLines { ignore_others: self.options.ignore_columns },
        };
        let mut batch: Vec<(u64, Row)> = Vec::with_capacity(IMPORT_BATCH_MAX);
        let (mut peppers, mut read_at) = ((self.peppers)()?, clock::now());
        loop {
            let line = match lines.next() {
                // What was read so far is brought in, so that the count of lines says where this stopped.
                Err(_) if interrupt::signal().is_some() => None,
                line => line?,
            };
            if let Some(Line::Text("")) = line {
                continue;
            }
            let at_end = line.is_none();
            if let Some(line) = line {
                summary.lines += 1;
                let row = self.read(&columns, &line, &peppers);
                let number = lines.number();
                match row {
                    Ok(row) => batch.push((number, row)),
                    Err((username, why)) => {
                        report.refuse(number, username.as_ref(), &why, &self.progress)?;
                    }
                }
            }
            if at_end || batch.len() == IMPORT_BATCH_MAX {
                // A long import must not go on to seal under a key that was replaced while it runs.
                if clock::since(read_at) >= IMPORT_PEPPERS_FRESH_FOR {
                    (peppers, read_at) = ((self.peppers)()?, clock::now());
                }
                let batch = std::mem::take(&mut batch);
                self.store(batch, &peppers, summary, report, costs)?;
                let Summary { created, already_there, .. } = *summary;
                let refused = report.refused();
                let message =
                    format!("{created} imported, {already_there} there already, {refused} refused");
                self.progress.set_with(lines.bytes(), message);
                if interrupt::signal().is_some() {
                    break;
                }
            }
            if at_end {
                break;
            }
        }
        Ok(())
    }

    fn header(&self, lines: &mut Lines<impl Read>) -> Result<Columns, Box<dyn Error>> {
        match lines.next()? {
            None => Err("the file is empty".into()),
            Some(Line::Text(line)) => Columns::header(line, self.options.ignore_columns)
                .map_err(|error| format!("line 1, the header: {error}").into()),
            Some(Line::TooLong | Line::NotUtf8) => Err("line 1 is no header of CSV".into()),
        }
    }

    /// Reads a line. The error says why it is not taken, and whose it is if that is known.
    fn read(
        &self,
        columns: &Columns,
        line: &Line<'_>,
        peppers: &PepperKeyring,
    ) -> Result<Row, (Option<Username>, String)> {
        let nobody = |why: &dyn std::fmt::Display| (None, why.to_string());
        let line = match line {
            Line::Text(line) => *line,
            Line::TooLong => {
                return Err(nobody(&format_args!("longer than {IMPORT_LINE_BYTES_MAX} bytes")));
            }
            Line::NotUtf8 => return Err(nobody(&"not UTF-8")),
        };
        let cells = columns.read(line).map_err(|error| nobody(&error))?;
        Row::read(&cells, peppers, self.time.now().ms()).map_err(|error| {
            let username = cells.get(Column::Username).unwrap_or_default();
            (Username::new(username).ok(), error.to_string())
        })
    }

    /// Brings rows into the store and counts what became of them.
    fn store(
        &self,
        mut rows: Vec<(u64, Row)>,
        peppers: &PepperKeyring,
        summary: &mut Summary,
        report: &mut Report,
        costs: &mut Costs<'_>,
    ) -> Result<(), Box<dyn Error>> {
        for try_number in 1.. {
            if rows.is_empty() {
                break;
            }
            let prepare = |(line, row): (u64, Row)| {
                let id = UserId::from(next_id(self.ids, self.time)?);
                Ok((line, row.prepare(id, peppers)?))
            };
            let prepared = rows.drain(..).map(prepare);
            let prepared: Vec<(u64, Prepared)> = prepared.collect::<Result<_, Box<dyn Error>>>()?;
            let users: Vec<_> = prepared.iter().map(|(_, user)| user.as_imported()).collect();
            let trial = self.options.trial;
            let outcomes = patiently(|deadline| self.store.import_users(&users, trial, deadline))?;
            drop(users);
            for ((line, user), outcome) in prepared.into_iter().zip(outcomes) {
                if matches!(outcome, Imported::Created | Imported::AlreadyThere)
                    && let Some(warning) = costs.count(user.cost())?
                {
                    report.warn(line, user.username(), &warning, &self.progress)?;
                }
                let mut refuse =
                    |why: &str| report.refuse(line, Some(user.username()), &why, &self.progress);
                match outcome {
                    Imported::Created => summary.created += 1,
                    Imported::AlreadyThere => summary.already_there += 1,
                    Imported::NameTaken if self.options.skip_taken => summary.skipped += 1,
                    Imported::NameTaken => refuse("the username is taken")?,
                    Imported::IdTaken => {
                        let row = user.into_row();
                        if row.has_id() || try_number == ID_TRIES_MAX {
                            let why = "the user_id is another user's";
                            report.refuse(line, Some(&row.username), &why, &self.progress)?;
                        } else {
                            rows.push((line, row));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Summary {
    fn to_text(self, trial: Trial) -> String {
        let Self { lines, created, already_there, skipped, refused } = self;
        let imported = match trial {
            Trial::Real => "imported",
            Trial::Rehearsal => "could be imported",
        };
        format!(
            "{lines} lines: {created} {imported}, {already_there} there already, {skipped} skipped, \
             {refused} refused"
        )
    }
}

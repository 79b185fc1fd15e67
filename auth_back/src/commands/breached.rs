//! `auth_back breached`: the file of passwords that were stolen somewhere, made from a list.
//!
//! For `--breached-passwords`. The list is that of Have I Been Pwned (a line `SHA1:COUNT` for each
//! password) or any other of SHA-1 digests or their beginnings. Works on nothing that a server uses.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use credentials::BreachedFile;
use credentials::breached::{BuildError, Builder, PARTS};
use credentials::limits::BREACHED_READ_BYTES;
use indicatif::BinaryBytes;
use server::settings::Settings;

use super::console::say;
use super::interrupt;
use super::interrupt::Interruptible;
use super::progress::{Progress, Unit};
use super::subcommand::{Done, Subcommand, Telling};

pub(super) const COMMAND: Subcommand = Subcommand { command, run, telling: |_| Telling::No };

const FROM: &str = "from";
const TO: &str = "to";
const MIN_COUNT: &str = "min-count";

fn command() -> Command {
    let path = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).value_name("FILE").required(true).help(help);
        arg.value_parser(value_parser!(PathBuf))
    };
    Command::new("breached")
        .about("Passwords that were stolen elsewhere, for --breached-passwords")
        .subcommand_required(true)
        .subcommand(
            Command::new("build")
                .about("Make the file from a list of SHA-1 digests, such as that of Have I Been Pwned")
                .arg(path(FROM, "The list: SHA1 or SHA1:COUNT on each line, sorted or not; - is standard input"))
                .arg(path(TO, "The file to make; one that is there is replaced at the end, in one step"))
                .arg(
                    Arg::new(MIN_COUNT)
                        .long(MIN_COUNT)
                        .value_name("COUNT")
                        .default_value("1")
                        .value_parser(value_parser!(u64))
                        .help("Leave out what the list counts less often; what it does not count is kept"),
                ),
        )
}

fn run(arguments: &ArgMatches, _: &Settings) -> Done {
    let Some(("build", arguments)) = arguments.subcommand() else {
        unreachable!("the parser takes no others");
    };
    let path = |name| arguments.get_one::<PathBuf>(name).expect("the parser requires it");
    let (from, to) = (path(FROM), path(TO));
    let min_count = *arguments.get_one(MIN_COUNT).expect("it has a default");
    let began = clock::now();

    let (list, bytes) = open(from)?;
    let mut builder = Builder::new(to, min_count)?;
    interrupt::watch()?;
    let stopped = |error: BuildError, done: &str| -> Box<dyn Error> {
        let interrupted = interrupt::check(|| format!("{done}, and no file was made"));
        interrupted.map_or_else(Into::into, |()| error.into())
    };
    let reading = Progress::new(Unit::Bytes, bytes);
    let mut seen = 0;
    let watch = |bytes| {
        seen = bytes;
        reading.set(bytes);
        interrupt::flow()
    };
    let read = builder.read(list, watch);
    reading.finish();
    read.map_err(|error| stopped(error, &format!("{} of the list were read", BinaryBytes(seen))))?;
    let sorting = Progress::new(Unit::Things("parts sorted and written"), Some(PARTS as u64));
    let watch = |parts| {
        sorting.set(parts as u64);
        interrupt::flow()
    };
    let built = builder.finish(watch);
    sorting.finish();
    let built = built.map_err(|error| stopped(error, "the list was read and not sorted"))?;

    // Read back as a server will read it: what is said here holds there.
    let file = BreachedFile::open(to)?;
    say(&format!(
        "{} passwords in {} bytes, from {} lines of which {} were counted less than {min_count} times, \
         in {:.1} s; of {} other passwords, one will be taken for one of these",
        built.count,
        built.bytes,
        built.lines,
        built.left_out,
        clock::since(began).as_secs_f64(),
        file.one_in(),
    ))?;
    Ok(())
}

/// The list and, where that is known, its length.
fn open(path: &PathBuf) -> io::Result<(Box<dyn BufRead>, Option<u64>)> {
    if path.as_os_str() == "-" {
        let stdin = Interruptible::stdin()?;
        return Ok((Box::new(BufReader::with_capacity(BREACHED_READ_BYTES, stdin)), None));
    }
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(named)?;
    let about = file.metadata().map_err(named)?;
    let len = about.is_file().then_some(about.len());
    Ok((Box::new(BufReader::with_capacity(BREACHED_READ_BYTES, Interruptible(file))), len))
}

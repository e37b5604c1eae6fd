//! From the words of the command line to an [`Action`], by the table.
//!
//! The parser is built from [`COMMANDS`] and knows no command itself; [`Action`] is what remains
//! once every value has its type, so that what follows cannot be asked for something that makes no
//! sense.

use super::table::{self, COMMANDS, Command, Offer};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches};
use std::ffi::OsString;
use std::path::PathBuf;

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest record kept.
    Earliest,
    /// With the next record.
    Latest,
    /// With this one.
    Offset(u64),
}

/// How to reach the server, as given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// `--server`
    pub server: Option<String>,
    /// `--token`
    pub token: Option<String>,
    /// `--config`
    pub config: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table describes each")]
pub enum Action {
    Serve { config: Option<PathBuf>, demo: bool },
    Check { config: Option<PathBuf>, defaults: bool },
    Publish { topic: String, json: Option<String>, create: bool, reach: Reach },
    Subscribe { topic: String, from: From, frames: bool, reach: Reach },
    Query { dialect: String, within: Option<String>, text: String, lines: bool, reach: Reach },
    Topics { reach: Reach },
    Inspect { directory: PathBuf, verify: bool },
    HashPassword,
    Completions { shell: String },
    Manual,
    Version,
}

/// Reads the command line, program name first.
///
/// # Errors
/// What to print instead, also when help was asked for.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Action, clap::Error> {
    let matches = parser().try_get_matches_from(words)?;
    let (name, found) = matches.subcommand().expect("the parser requires a command");
    let command = COMMANDS.iter().find(|one| one.name == name).expect("made from this table");
    action(&Found { matches: found, command })
}

/// The parser of the whole table.
#[must_use]
pub fn parser() -> clap::Command {
    clap::Command::new("weir")
        .about(table::ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(COMMANDS.iter().map(subcommand))
}

fn subcommand(command: &'static Command) -> clap::Command {
    let positionals = command.positionals.iter().map(|one| {
        let arg = Arg::new(one.name).required(one.required).help(one.help);
        // A record may be a negative number only to be refused by the server, never mistaken for a
        // flag.
        offered(arg.allow_negative_numbers(true), one.offer)
    });
    let flags = command.flags.iter().map(|flag| {
        let arg = Arg::new(flag.name).long(flag.name).help(flag.full_help());
        let arg = match flag.short {
            Some(short) => arg.short(short),
            None => arg,
        };
        match flag.value {
            Some(value) => offered(arg.value_name(value).action(ArgAction::Set), flag.offer),
            None => arg.action(ArgAction::SetTrue),
        }
    });
    let made = clap::Command::new(command.name).about(command.about).args(positionals).args(flags);
    if command.details.is_empty() { made } else { made.after_help(command.details) }
}

fn offered(arg: Arg, offer: Offer) -> Arg {
    match offer {
        Offer::Nothing => arg,
        Offer::Files | Offer::Directories => arg.value_parser(clap::value_parser!(PathBuf)),
        Offer::Words(words) => arg.value_parser(words.to_vec()),
    }
}

struct Found<'a> {
    matches: &'a ArgMatches,
    command: &'static Command,
}

impl Found<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.matches.get_one::<String>(name).cloned()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.matches.get_one::<PathBuf>(name).cloned()
    }

    fn reach(&self) -> Reach {
        Reach {
            server: self.text(table::SERVER.name),
            token: self.text(table::TOKEN.name),
            config: self.path(table::CONFIG.name),
        }
    }

    fn topic(&self) -> String {
        self.text("TOPIC").unwrap_or_default()
    }
}

fn action(found: &Found<'_>) -> Result<Action, clap::Error> {
    let flag = |flag: &table::Flag| found.matches.get_flag(flag.name);
    let config = || found.path(table::CONFIG.name);
    Ok(match found.command.name {
        "serve" => Action::Serve { config: config(), demo: flag(&table::DEMO) },
        "check" => Action::Check { config: config(), defaults: flag(&table::DEFAULTS) },
        "pub" => Action::Publish {
            topic: found.topic(),
            json: found.text("JSON").filter(|json| json != "-"),
            create: flag(&table::CREATE),
            reach: found.reach(),
        },
        "sub" => Action::Subscribe {
            topic: found.topic(),
            from: from(found.text(table::FROM.name).as_deref())?,
            frames: flag(&table::JSON),
            reach: found.reach(),
        },
        "query" => Action::Query {
            dialect: found.text(table::DIALECT.name).unwrap_or_else(|| "jet".to_owned()),
            within: found.text(table::WITHIN.name),
            text: found.text("TEXT").unwrap_or_default(),
            lines: flag(&table::LINES),
            reach: found.reach(),
        },
        "topics" => Action::Topics { reach: found.reach() },
        "inspect" => Action::Inspect {
            directory: found.path("DIR").unwrap_or_default(),
            verify: flag(&table::VERIFY),
        },
        "hash-password" => Action::HashPassword,
        "completions" => Action::Completions { shell: found.text("SHELL").unwrap_or_default() },
        "man" => Action::Manual,
        _ => Action::Version,
    })
}

fn from(text: Option<&str>) -> Result<From, clap::Error> {
    match text {
        None | Some("latest") => Ok(From::Latest),
        Some("earliest") => Ok(From::Earliest),
        Some(offset) => offset.parse().map(From::Offset).map_err(|_| {
            let text = format!("--from {offset}: give an offset, `earliest` or `latest`");
            parser().error(ErrorKind::InvalidValue, text)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Action, clap::Error> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_parser_is_sound() {
        parser().debug_assert();
    }

    #[test]
    fn lines_become_actions() {
        let reach = Reach::default;
        let subscribe =
            |from, frames, reach| Action::Subscribe { topic: "a".into(), from, frames, reach };
        let publish = |json: Option<&str>, create| Action::Publish {
            topic: "a".into(),
            json: json.map(str::to_owned),
            create,
            reach: reach(),
        };
        let full = Reach {
            server: Some("box:1".into()),
            token: Some("t".into()),
            config: Some("f".into()),
        };
        for (line, expected) in [
            ("weir serve", Action::Serve { config: None, demo: false }),
            (
                "weir serve --demo --config f",
                Action::Serve { config: Some("f".into()), demo: true },
            ),
            ("weir check -c f", Action::Check { config: Some("f".into()), defaults: false }),
            ("weir check --defaults", Action::Check { config: None, defaults: true }),
            ("weir pub a {}", publish(Some("{}"), false)),
            ("weir pub a -", publish(None, false)),
            ("weir pub --create a", publish(None, true)),
            ("weir pub a -5", publish(Some("-5"), false)),
            ("weir sub a", subscribe(From::Latest, false, reach())),
            ("weir sub a --from earliest", subscribe(From::Earliest, false, reach())),
            ("weir sub a --from 17 --json", subscribe(From::Offset(17), true, reach())),
            ("weir sub a -s box:1 -t t -c f", subscribe(From::Latest, false, full)),
            (
                "weir query -d rql x",
                Action::Query {
                    dialect: "rql".into(),
                    within: None,
                    text: "x".into(),
                    lines: false,
                    reach: reach(),
                },
            ),
            ("weir topics", Action::Topics { reach: reach() }),
            ("weir inspect d --verify", Action::Inspect { directory: "d".into(), verify: true }),
            ("weir hash-password", Action::HashPassword),
            ("weir completions zsh", Action::Completions { shell: "zsh".into() }),
            ("weir man", Action::Manual),
            ("weir version", Action::Version),
        ] {
            assert_eq!(read(line).ok(), Some(expected), "{line}");
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for (line, kind) in [
            ("weir", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("weir help", ErrorKind::DisplayHelp),
            ("weir help sub", ErrorKind::DisplayHelp),
            ("weir sub --help", ErrorKind::DisplayHelp),
            ("weir --version", ErrorKind::DisplayVersion),
            ("weir serv", ErrorKind::InvalidSubcommand),
            ("weir sub", ErrorKind::MissingRequiredArgument),
            ("weir sub a b", ErrorKind::UnknownArgument),
            ("weir sub a --from x", ErrorKind::InvalidValue),
            ("weir completions tcsh", ErrorKind::InvalidValue),
            ("weir serve --server a", ErrorKind::UnknownArgument),
        ] {
            assert_eq!(read(line).err().map(|e| e.kind()), Some(kind), "{line}");
        }
    }

    #[test]
    fn every_command_of_the_table_is_an_action() {
        for command in COMMANDS {
            let words: Vec<&str> = command
                .positionals
                .iter()
                .filter(|one| one.required)
                .map(|one| if let Offer::Words(words) = one.offer { words[0] } else { "x" })
                .collect();
            let line = format!("weir {} {}", command.name, words.join(" "));
            let action = read(line.trim_end()).unwrap();
            assert_eq!(action == Action::Version, command.name == "version", "{}", command.name);
        }
    }

    #[test]
    fn the_default_server_is_the_default_address() {
        let address = crate::config::Config::default().listen.jsonjet.unwrap();
        assert_eq!(table::SERVER.default, Some(&address.to_string()[..]));
    }
}

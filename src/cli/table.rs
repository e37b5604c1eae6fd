//! Every command and flag, once: the parser, help, completions and the manual page are made from
//! here.

/// What a shell offers for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Nothing.
    Nothing,
    /// Files.
    Files,
    /// Directories.
    Directories,
    /// These words; the parser takes no others.
    Words(&'static [&'static str]),
}

/// A flag; without a value name it is a switch.
#[derive(Debug)]
pub struct Flag {
    /// Without the two dashes.
    pub name: &'static str,
    /// One letter.
    pub short: Option<char>,
    /// Name of its value.
    pub value: Option<&'static str>,
    /// What holds without it.
    pub default: Option<&'static str>,
    /// What the shell offers.
    pub offer: Offer,
    /// One line.
    pub help: &'static str,
}

/// A word in its place.
#[derive(Debug)]
pub struct Positional {
    /// As shown.
    pub name: &'static str,
    /// Whether the command needs it.
    pub required: bool,
    /// What the shell offers.
    pub offer: Offer,
    /// One line.
    pub help: &'static str,
}

/// A command.
#[derive(Debug)]
pub struct Command {
    /// Its word.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// Sentences for its help and the manual page.
    pub details: &'static str,
    /// In order.
    pub positionals: &'static [Positional],
    /// In the order of the help.
    pub flags: &'static [&'static Flag],
}

impl Flag {
    /// Its help, with the default.
    #[must_use]
    pub fn full_help(&self) -> String {
        match self.default {
            Some(default) => format!("{} [default: {default}]", self.help),
            None => self.help.to_owned(),
        }
    }
}

const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, value: None, default: None, offer: Offer::Nothing, help }
}

/// `--config`
pub const CONFIG: Flag = Flag {
    name: "config",
    short: Some('c'),
    value: Some("FILE"),
    default: None,
    offer: Offer::Files,
    help: "Configuration file; without it every key has its default",
};
/// `--config` of a client.
pub const CLIENT_CONFIG: Flag =
    Flag { help: "Take the server's address from its configuration file", ..CONFIG };
/// `--server`
pub const SERVER: Flag = Flag {
    name: "server",
    short: Some('s'),
    value: Some("HOST:PORT"),
    default: Some("127.0.0.1:3333"),
    offer: Offer::Nothing,
    help: "The server's address for JSON streams",
};
/// `--token`
pub const TOKEN: Flag = Flag {
    name: "token",
    short: Some('t'),
    value: Some("TOKEN"),
    default: None,
    offer: Offer::Nothing,
    help: "Token to log in with; the variable WEIR_TOKEN keeps it out of the process list",
};
/// `--demo`
pub const DEMO: Flag =
    switch("demo", "Feed the stream sensor_data from three simulated sensors and say what to try");
/// `--defaults`
pub const DEFAULTS: Flag =
    switch("defaults", "Print a commented file of all keys with their defaults instead");
/// `--create`
pub const CREATE: Flag = switch("create", "Create the stream if it does not exist");
/// `--json`
pub const JSON: Flag =
    switch("json", "Print whole data frames, one a line, instead of the records alone");
/// `--json` of a query.
pub const LINES: Flag = switch("json", "Print JSON lines also on a terminal");
/// `--dialect`
pub const DIALECT: Flag = Flag {
    name: "dialect",
    short: Some('d'),
    value: Some("NAME"),
    default: Some("jet"),
    offer: Offer::Words(super::query::DIALECTS),
    help: "The language of the query: jet, rql for the front-end `raw`, nsdb for metrics",
};
/// `--in`
pub const WITHIN: Flag = Flag {
    name: "in",
    short: Some('i'),
    value: Some("DB.NAMESPACE"),
    default: None,
    offer: Offer::Nothing,
    help: "For nsdb: the database and the namespace of the metric",
};
/// `--server` of a query.
pub const QUERY_SERVER: Flag = Flag {
    default: None,
    help: "The server's address: 127.0.0.1:3333 if not given, rql 127.0.0.1:54321, nsdb 127.0.0.1:9000",
    ..SERVER
};
/// `--verify`
pub const VERIFY: Flag = switch("verify", "Read every record and check its checksum");
/// `--from`
pub const FROM: Flag = Flag {
    name: "from",
    short: Some('f'),
    value: Some("WHERE"),
    default: Some("latest"),
    offer: Offer::Nothing,
    help: "Where to begin: an offset, `earliest` or `latest`",
};

const TOPIC: Positional = Positional {
    name: "TOPIC",
    required: true,
    offer: Offer::Nothing,
    help: "Name of the topic, such as sensor_data or plant.s1",
};

/// The shells that completions exist for.
pub const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// All commands in the order of the help.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "serve",
        about: "Run the broker",
        details: "Runs until SIGTERM or SIGINT, then ends within 5 seconds with status 0. Logs go \
                  to standard error, or to the journal under systemd; the variable WEIR_LOG sets \
                  the level: error, warn, info (default) or debug.",
        positionals: &[],
        flags: &[&CONFIG, &DEMO],
    },
    Command {
        name: "check",
        about: "Check a configuration file",
        details: "Prints what would be used, as TOML, and ends with status 0; or each error with \
                  its line, key and remedy, and ends with status 2.",
        positionals: &[],
        flags: &[&CONFIG, &DEFAULTS],
    },
    Command {
        name: "pub",
        about: "Insert records into a topic",
        details: "Without JSON, or with `-`, each line of standard input is one record, and many \
                  lines travel together. Ends when all are acknowledged.",
        positionals: &[
            TOPIC,
            Positional {
                name: "JSON",
                required: false,
                offer: Offer::Nothing,
                help: "An object, an array of objects, or - for lines from standard input",
            },
        ],
        flags: &[&CREATE, &SERVER, &TOKEN, &CLIENT_CONFIG],
    },
    Command {
        name: "sub",
        about: "Print the records of a topic as they arrive",
        details: "One record a line, until SIGINT or until nobody reads its output any more.",
        positionals: &[TOPIC],
        flags: &[&FROM, &JSON, &SERVER, &TOKEN, &CLIENT_CONFIG],
    },
    Command {
        name: "query",
        about: "Run a query",
        details: "In JET, a pipeline over what a stream keeps, or any statement; in RQL, one query \
                  over topics and files. Prints a table on a terminal, JSON lines else.",
        positionals: &[Positional {
            name: "TEXT",
            required: true,
            offer: Offer::Nothing,
            help: "The query, quoted for the shell, such as 'sensor_data | where temp > 20'",
        }],
        flags: &[&DIALECT, &WITHIN, &LINES, &QUERY_SERVER, &TOKEN, &CLIENT_CONFIG],
    },
    Command {
        name: "topics",
        about: "List the topics and their number of records",
        details: "",
        positionals: &[],
        flags: &[&SERVER, &TOKEN, &CLIENT_CONFIG],
    },
    Command {
        name: "inspect",
        about: "Say what is in a data directory and what is damaged",
        details: "Changes nothing.",
        positionals: &[Positional {
            name: "DIR",
            required: true,
            offer: Offer::Directories,
            help: "The data_dir of a server that is not running",
        }],
        flags: &[&VERIFY],
    },
    Command {
        name: "hash-password",
        about: "Make the hash of a password or token for the configuration file",
        details: "Reads one line from standard input, without showing it on a terminal, and prints \
                  an argon2id PHC string for password_hash or token_hash.",
        positionals: &[],
        flags: &[],
    },
    Command {
        name: "completions",
        about: "Print the completions for a shell",
        details: "",
        positionals: &[Positional {
            name: "SHELL",
            required: true,
            offer: Offer::Words(SHELLS),
            help: "bash, zsh or fish",
        }],
        flags: &[],
    },
    Command {
        name: "man",
        about: "Print the manual page",
        details: "In roff: `weir man | man -l -` shows it.",
        positionals: &[],
        flags: &[],
    },
    Command {
        name: "version",
        about: "Print the version",
        details: "",
        positionals: &[],
        flags: &[],
    },
];

/// What the program is, in one line.
pub const ABOUT: &str =
    "Broker appliance: five WebSocket protocols over one core of durable topics";

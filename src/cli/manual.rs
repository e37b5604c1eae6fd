//! The manual page in roff, written from the tables of commands and of configuration keys.

use super::table::{ABOUT, COMMANDS, Command, Flag};
use crate::config::keys::{KEYS, ROUTE_KEYS, USER_KEYS};
use std::fmt::Write;

/// The page.
#[must_use]
pub fn page() -> String {
    let mut out = format!(
        ".TH WEIR 1 \"\" \"weir {}\" \"User Commands\"\n.SH NAME\nweir \\- {}\n.SH SYNOPSIS\n",
        env!("CARGO_PKG_VERSION"),
        escape(ABOUT)
    );
    for (i, command) in COMMANDS.iter().enumerate() {
        let _ = writeln!(out, "{}{}", if i > 0 { ".br\n" } else { "" }, synopsis(command));
    }
    out.push_str(".SH COMMANDS\n");
    for command in COMMANDS {
        describe(&mut out, command);
    }
    out.push_str(".SH CONFIGURATION\nOne TOML file; every key has a default.\n");
    for key in KEYS.iter().filter(|key| !key.hidden) {
        entry(&mut out, &key.path(), key.default, key.help);
    }
    for key in ROUTE_KEYS {
        entry(&mut out, &format!("[[{}]] {}", key.section, key.name), key.default, key.help);
    }
    for key in USER_KEYS {
        entry(&mut out, &format!("[[{}]] {}", key.section, key.name), key.default, key.help);
    }
    out.push_str(
        ".SH ENVIRONMENT\n.TP\n\\fBWEIR_LOG\\fR\nLevel of the server's log: error, warn, info or \
         debug.\n.TP\n\\fBWEIR_TOKEN\\fR\nToken of the clients, where \\fB\\-\\-token\\fR is not \
         given.\n.SH EXIT STATUS\n0: done. 1: failed, with the reason and the remedy on standard \
         error. 2: the configuration or the command line is wrong.\n",
    );
    out
}

fn synopsis(command: &Command) -> String {
    let mut line = format!("\\fBweir {}\\fR", escape(command.name));
    for flag in command.flags {
        let _ = write!(line, " [{}]", spelling(flag));
    }
    for one in command.positionals {
        let name = escape(one.name);
        let _ = match one.required {
            true => write!(line, " \\fI{name}\\fR"),
            false => write!(line, " [\\fI{name}\\fR]"),
        };
    }
    line
}

fn spelling(flag: &Flag) -> String {
    let mut text = format!("\\fB\\-\\-{}\\fR", escape(flag.name));
    if let Some(value) = flag.value {
        let _ = write!(text, " \\fI{}\\fR", escape(value));
    }
    text
}

fn describe(out: &mut String, command: &Command) {
    let _ = writeln!(out, ".SS {}\n{}.", escape(command.name), escape(command.about));
    if !command.details.is_empty() {
        let _ = writeln!(out, "{}", escape(command.details));
    }
    for one in command.positionals {
        let _ = writeln!(out, ".TP\n\\fI{}\\fR\n{}.", escape(one.name), escape(one.help));
    }
    for flag in command.flags {
        let short = flag.short.map_or(String::new(), |c| format!("\\fB\\-{c}\\fR, "));
        let help = escape(&flag.full_help());
        let _ = writeln!(out, ".TP\n{short}{}\n{help}.", spelling(flag));
    }
}

fn entry(out: &mut String, path: &str, default: &str, help: &str) {
    let default = if default.is_empty() { String::new() } else { format!(" = {default}") };
    let _ = writeln!(out, ".TP\n\\fB{}\\fR{}\n{}", escape(path), escape(&default), escape(help));
}

/// Text that roff prints as it is. A dot or apostrophe at the start of a line would be a request.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn every_command_flag_and_key_is_on_the_page() {
        let page = page();
        for command in COMMANDS {
            assert!(page.contains(&format!(".SS {}\n", escape(command.name))), "{}", command.name);
            for flag in command.flags {
                assert!(page.contains(&spelling(flag)), "{}", flag.name);
            }
        }
        for path in keys::all_paths() {
            let name = path.rsplit_once('.').map_or(path.as_str(), |(_, name)| name);
            assert!(page.contains(name), "{path}");
        }
    }
}

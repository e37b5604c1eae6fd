//! Completions for bash, zsh and fish, written from the table of commands.

use super::table::{ABOUT, COMMANDS, Command, Flag, Offer};
use std::fmt::Write;

/// The script for this shell; `None`: there is none.
#[must_use]
pub fn script(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(zsh()),
        "fish" => Some(fish()),
        _ => None,
    }
}

/// The command `help` is the parser's own, and takes the name of another.
fn names() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = COMMANDS.iter().map(|one| (one.name, one.about)).collect();
    all.push(("help", "Print help, or that of a command"));
    all
}

fn spellings(flag: &Flag) -> Vec<String> {
    let long = format!("--{}", flag.name);
    flag.short.map(|short| format!("-{short}")).into_iter().chain([long]).collect()
}

fn bash() -> String {
    let words: Vec<&str> = names().iter().map(|(name, _)| *name).collect();
    let words = words.join(" ");
    let mut out = format!(
        "# bash completions of weir\n_weir() {{\n    \
         local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}\n    \
         if ((COMP_CWORD == 1)); then\n        \
         COMPREPLY=($(compgen -W \"{words} --help --version\" -- \"$cur\"))\n        return\n    \
         fi\n    case ${{COMP_WORDS[1]}} in\n"
    );
    for command in COMMANDS {
        let _ = writeln!(out, "    {})", command.name);
        bash_values(&mut out, command);
        let mut offers: Vec<String> = command.flags.iter().flat_map(|f| spellings(f)).collect();
        offers.push("--help".to_owned());
        let mut generator = format!("-W \"{}", offers.join(" "));
        for one in command.positionals {
            if let Offer::Words(words) = one.offer {
                let _ = write!(generator, " {}", words.join(" "));
            }
        }
        generator.push('"');
        if command.positionals.iter().any(|one| one.offer == Offer::Directories) {
            generator.push_str(" -d");
        }
        let _ = writeln!(out, "        COMPREPLY=($(compgen {generator} -- \"$cur\"));;");
    }
    let _ = write!(
        out,
        "    help) COMPREPLY=($(compgen -W \"{words}\" -- \"$cur\"));;\n    esac\n}}\n\
         complete -o filenames -F _weir weir\n"
    );
    out
}

/// What follows a flag that takes a value.
fn bash_values(out: &mut String, command: &Command) {
    let valued: Vec<&&Flag> = command.flags.iter().filter(|flag| flag.value.is_some()).collect();
    if valued.is_empty() {
        return;
    }
    out.push_str("        case $prev in\n");
    for flag in valued {
        let generator = match flag.offer {
            Offer::Nothing => "COMPREPLY=()".to_owned(),
            Offer::Files => "COMPREPLY=($(compgen -f -- \"$cur\"))".to_owned(),
            Offer::Directories => "COMPREPLY=($(compgen -d -- \"$cur\"))".to_owned(),
            Offer::Words(words) => {
                format!("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\"))", words.join(" "))
            }
        };
        let _ = writeln!(out, "        {}) {generator}; return;;", spellings(flag).join("|"));
    }
    out.push_str("        esac\n");
}

/// Text inside single quotes, where zsh reads `[`, `]` and `:` of a description.
fn zsh_quoted(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\'', "'\\''")
        .replace('[', "\\[")
        .replace(']', "\\]")
        .replace(':', "\\:")
}

fn zsh_offer(offer: Offer) -> String {
    match offer {
        Offer::Nothing => " ".to_owned(),
        Offer::Files => "_files".to_owned(),
        Offer::Directories => "_files -/".to_owned(),
        Offer::Words(words) => format!("({})", words.join(" ")),
    }
}

fn zsh() -> String {
    let mut out = String::from("#compdef weir\n# zsh completions of weir\n_weir() {\n");
    out.push_str("    local line state\n    _arguments -C '1: :->command' '*:: :->rest'\n");
    out.push_str("    case $state in\n    command)\n        local -a commands=(\n");
    for (name, about) in names() {
        let _ = writeln!(out, "            '{name}:{}'", zsh_quoted(about));
    }
    out.push_str("        )\n        _describe command commands;;\n    rest)\n");
    out.push_str("        case $line[1] in\n");
    for command in COMMANDS {
        let _ = write!(out, "        {})\n            _arguments", command.name);
        for flag in command.flags {
            let help = zsh_quoted(&flag.full_help());
            let value = flag.value.map_or(String::new(), |value| {
                format!(":{}:{}", zsh_quoted(value), zsh_offer(flag.offer))
            });
            for spelling in spellings(flag) {
                let _ = write!(out, " \\\n                '{spelling}[{help}]{value}'");
            }
        }
        for (i, one) in command.positionals.iter().enumerate() {
            let colons = if one.required { ":" } else { "::" };
            let (name, offer) = (zsh_quoted(one.name), zsh_offer(one.offer));
            let _ = write!(out, " \\\n                '{}{colons}{name}:{offer}'", i + 1);
        }
        out.push_str(" \\\n                '--help[Print help]';;\n");
    }
    let words: Vec<&str> = names().iter().map(|(name, _)| *name).collect();
    let _ = writeln!(out, "        help) _arguments '1:command:({})';;", words.join(" "));
    out.push_str("        esac;;\n    esac\n}\n_weir \"$@\"\n");
    out
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn fish() -> String {
    let mut out = format!("# fish completions of weir: {ABOUT}\ncomplete -c weir -f\n");
    for (name, about) in names() {
        let about = fish_quoted(about);
        let _ = writeln!(out, "complete -c weir -n __fish_use_subcommand -a {name} -d {about}");
    }
    for command in COMMANDS {
        let when = format!("complete -c weir -n '__fish_seen_subcommand_from {}'", command.name);
        for flag in command.flags {
            let short = flag.short.map_or(String::new(), |short| format!(" -s {short}"));
            let value = match (flag.value, flag.offer) {
                (None, _) => String::new(),
                (Some(_), Offer::Files) => " -r -F".to_owned(),
                (Some(_), Offer::Directories) => {
                    " -x -a '(__fish_complete_directories)'".to_owned()
                }
                (Some(_), Offer::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
                (Some(_), Offer::Nothing) => " -x".to_owned(),
            };
            let help = fish_quoted(&flag.full_help());
            let _ = writeln!(out, "{when}{short} -l {}{value} -d {help}", flag.name);
        }
        for one in command.positionals {
            match one.offer {
                Offer::Words(words) => {
                    let _ = writeln!(out, "{when} -a '{}'", words.join(" "));
                }
                Offer::Directories => {
                    let _ = writeln!(out, "{when} -a '(__fish_complete_directories)'");
                }
                Offer::Files => {
                    let _ = writeln!(out, "{when} -F");
                }
                Offer::Nothing => {}
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::SHELLS;

    #[test]
    fn every_command_and_flag_is_in_every_script() {
        for shell in SHELLS {
            let script = script(shell).unwrap();
            for command in COMMANDS {
                assert!(script.contains(command.name), "{shell} {}", command.name);
                for flag in command.flags {
                    let long = match *shell {
                        "fish" => format!("-l {}", flag.name),
                        _ => format!("--{}", flag.name),
                    };
                    assert!(script.contains(&long), "{shell} {long}");
                }
            }
        }
        assert_eq!(script("tcsh"), None);
    }
}

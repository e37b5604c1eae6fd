//! The configuration as text: what is in force, and the commented file of defaults.

use super::effective::{Config, Route};
use super::keys::{self, KEYS, Key, ROUTE_KEYS, ROUTES, SECTIONS, USER_KEYS, USERS};
use std::fmt::Write;

/// What would be used, as TOML. Passwords and tokens are not shown.
#[must_use]
pub fn effective(config: &Config) -> String {
    let mut config = config.clone();
    let mut out = String::new();
    let initial = Config::default();
    for (section, _) in SECTIONS {
        if !section.is_empty() {
            let _ = writeln!(out, "\n[{section}]");
        }
        for key in KEYS.iter().filter(|key| key.section == *section) {
            let value = (key.slot)(&mut config).print();
            if !key.hidden || value != (key.slot)(&mut initial.clone()).print() {
                line(&mut out, key, value);
            }
        }
        if ROUTES.strip_suffix(".route") == Some(section) {
            each(&mut out, ROUTES, ROUTE_KEYS, &mut config.mesh.routes);
        }
    }
    each(&mut out, USERS, USER_KEYS, &mut config.users);
    out
}

fn each<T>(out: &mut String, path: &str, table: &[Key<T>], all: &mut [T]) {
    for one in all {
        let _ = writeln!(out, "\n[[{path}]]");
        for key in table {
            line(out, key, (key.slot)(one).print());
        }
    }
}

fn line<T>(out: &mut String, key: &Key<T>, value: Option<String>) {
    if let Some(value) = value {
        let _ = writeln!(out, "{} = {value}", key.name);
    }
}

/// The file of defaults: every key with its help, its default and what it takes, all commented out.
#[must_use]
pub fn defaults() -> String {
    let mut out = String::from(
        "# Configuration of weir. Every key has a default, which stands here behind its #.\n\
         # Units: _us, _ms and _s are times, _bytes bytes, all other numbers counts.\n\
         # `weir check --config FILE` says what would be used, or what is wrong.\n\n",
    );
    let mut config = Config::default();
    for (section, help) in SECTIONS {
        if !section.is_empty() {
            let _ = write!(out, "\n# {help}\n[{section}]\n");
        }
        for key in KEYS.iter().filter(|key| key.section == *section && !key.hidden) {
            describe(&mut out, key, &mut config);
        }
        if ROUTES.strip_suffix(".route") == Some(section) {
            out.push_str(
                "\n# A path on the users port and its topic. Without any there is this one.\n",
            );
            describe_all(&mut out, ROUTES, ROUTE_KEYS, &mut Route::plain("", ""));
        }
    }
    out.push_str(
        "\n# Who may do what. Without any [[user]] everything is open, and only loopback addresses\n\
         # may be bound unless allow_open = true.\n",
    );
    describe_all(&mut out, USERS, USER_KEYS, &mut keys::blank_user());
    out
}

fn describe_all<T>(out: &mut String, path: &str, table: &[Key<T>], scratch: &mut T) {
    let _ = writeln!(out, "#[[{path}]]");
    for key in table {
        describe(out, key, scratch);
    }
}

fn describe<T>(out: &mut String, key: &Key<T>, scratch: &mut T) {
    let _ = writeln!(out, "# {}", key.help);
    if matches!(key.range, (least, most) if (least, most) != (0, super::slot::UNBOUNDED)) {
        let _ = writeln!(out, "# Takes {}.", (key.slot)(scratch).wants(key.range));
    }
    let value = if key.default.is_empty() { "\"...\"" } else { key.default };
    let _ = writeln!(out, "#{} = {value}", key.name);
}

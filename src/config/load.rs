//! From TOML text to [`Config`]: every value checked against the key table, then the rules between keys.
//!
//! Nothing stops at the first problem: a value that does not fit leaves its default in force, and the
//! rules between keys only speak about values that were accepted, so no problem is a mere consequence.

use super::effective::{Config, Route};
use super::keys::{self, KEYS, Key, ROUTE_KEYS, ROUTES, SECTIONS, USER_KEYS, USERS};
use super::problem::{Problem, Report, nearest};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads the file, or takes the defaults.
///
/// # Errors
/// All problems of the file, in its order.
pub fn load(path: Option<&Path>) -> Result<Config, Vec<Problem>> {
    let Some(path) = path else { return Ok(Config::default()) };
    let bytes = std::fs::read(path).map_err(|error| vec![unreadable(error.to_string())])?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let at = error.valid_up_to();
            let text = String::from_utf8_lossy(&bytes[..at]);
            let mut report = Report::new(&text);
            report.add("", at, "not UTF-8", "save the file as UTF-8");
            Err(report.finish())
        }
    }
}

fn unreadable(what: String) -> Problem {
    Problem {
        key: String::new(),
        line: 0,
        column: 0,
        what: format!("cannot be read: {what}"),
        remedy: "--config names the file; `weir check --defaults` prints one to begin with".into(),
    }
}

/// Reads the text of a file.
///
/// # Errors
/// All its problems, in its order.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let mut report = Report::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(text.len(), |span| span.start);
        report.add("", at, error.message(), "the file must be TOML 1.0");
    }
    if !errors.is_empty() {
        // Where the text is broken, what follows is guesswork.
        return Err(report.finish());
    }
    let mut reader = Reader { config: Config::default(), places: BTreeMap::new(), report };
    reader.root(root.get_ref());
    let problems = reader.report.finish();
    if problems.is_empty() { Ok(reader.config) } else { Err(problems) }
}

type Item<'a, 'i> = (&'a str, usize, &'a Spanned<DeValue<'i>>);

/// The members of a table: name, place of the name, value.
fn members<'a, 'i>(table: &'a DeTable<'i>) -> impl Iterator<Item = Item<'a, 'i>> {
    table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
}

struct Reader<'a> {
    config: Config,
    /// Where each key that the file has and that was accepted stands.
    places: BTreeMap<String, usize>,
    report: Report<'a>,
}

impl Reader<'_> {
    fn root(&mut self, root: &DeTable<'_>) {
        let mut users = 0;
        for (name, at, value) in members(root) {
            if name == USERS {
                users = self.users(at, value);
            } else if !name.is_empty() && SECTIONS.iter().any(|(section, _)| *section == name) {
                self.section(name, at, value);
            } else {
                self.global(name, at, value);
            }
        }
        self.loopback(users);
        self.distinct_addresses();
    }

    fn global(&mut self, name: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        if value.get_ref().is_table() || value.get_ref().is_array() && !is_global(name) {
            let known = SECTIONS.iter().map(|(name, _)| *name).filter(|name| !name.is_empty());
            let known = known.chain([USERS]);
            let near = nearest(name, known).unwrap_or_default();
            let near = if near == USERS { "[[user]]".to_owned() } else { format!("[{near}]") };
            self.report.add(name, at, "unknown table", format!("did you mean {near}?"));
        } else {
            self.key("", name, at, value);
        }
    }

    fn section(&mut self, section: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let Some(table) = value.get_ref().as_table() else {
            let remedy = format!("write [{section}] on a line of its own, and its keys below");
            self.report.add(section, at, "must be a table", remedy);
            return;
        };
        for (name, at, value) in members(table) {
            if format!("{section}.{name}") == ROUTES {
                self.routes(at, value);
            } else {
                self.key(section, name, at, value);
            }
        }
    }

    fn key(&mut self, section: &str, name: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        if let Some(key) = KEYS.iter().find(|key| (key.section, key.name) == (section, name)) {
            if fill(key, &mut self.config, at, value, &mut self.report) {
                self.places.insert(key.path(), at);
            }
            return;
        }
        let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        unknown(&path, at, &mut self.report);
    }

    fn routes(&mut self, at: usize, value: &Spanned<DeValue<'_>>) {
        let report = &mut self.report;
        let entries = entries(ROUTES, ROUTE_KEYS, || Route::plain("", ""), at, value, report);
        self.config.mesh.routes.clear();
        for Entry { value: route, at, given } in entries {
            for required in ["path", "topic"] {
                if !given.contains(&required) {
                    let key = format!("{ROUTES}.{required}");
                    self.report.add(&key, at, "missing", "each route has a path and a topic");
                }
            }
            if !route.path.is_empty()
                && self.config.mesh.routes.iter().any(|r| r.path == route.path)
            {
                let what = format!("{:?} is in two routes", route.path);
                self.report.add("mesh.route.path", at, what, "a path leads to one topic");
            }
            self.config.mesh.routes.push(route);
        }
        if self.config.mesh.routes.is_empty() {
            self.config.mesh.routes = Config::default().mesh.routes;
        }
    }

    /// Takes the users and says how many the file wants.
    fn users(&mut self, at: usize, value: &Spanned<DeValue<'_>>) -> usize {
        let entries = entries(USERS, USER_KEYS, keys::blank_user, at, value, &mut self.report);
        let count = entries.len();
        for Entry { value: user, at, given } in entries {
            let has = |name: &str| given.contains(&name);
            if !has("name") {
                self.report.add("user.name", at, "missing", "each user has a name of its own");
            }
            let secrets = ["password", "password_hash", "token", "token_hash"];
            if !secrets.into_iter().any(has) {
                let remedy = "give one of password, password_hash, token, token_hash";
                self.report.add("user.password", at, "nothing to log in with", remedy);
            }
            for (plain, hash) in [("password", "password_hash"), ("token", "token_hash")] {
                if has(plain) && has(hash) {
                    let what = format!("stands beside {plain}");
                    self.report.add(&format!("user.{hash}"), at, what, "keep one of the two");
                }
            }
            if !user.name.is_empty() && self.config.users.iter().any(|u| u.name == user.name) {
                let what = format!("{:?} is the name of two users", user.name);
                self.report.add("user.name", at, what, "give each user a name of its own");
            }
            self.config.users.push(user);
        }
        count
    }

    fn loopback(&mut self, users: usize) {
        if users > 0 || self.config.allow_open {
            return;
        }
        for (path, at, address) in self.addresses() {
            if !address.ip().to_canonical().is_loopback() {
                let what =
                    format!("{address} can be reached from outside, and there is no [[user]]");
                let remedy = "add a [[user]], or set allow_open = true to let anybody do anything";
                self.report.add(&path, at, what, remedy);
            }
        }
    }

    /// Two front-ends on one port would share its connections by chance.
    fn distinct_addresses(&mut self) {
        let all = self.addresses();
        for (i, (path, at, address)) in all.iter().enumerate() {
            let clash = all.iter().enumerate().find(|(j, (_, other_at, other))| {
                (other_at, *j) < (at, i) && overlap(*address, *other)
            });
            if let Some((_, (other, _, _))) = clash {
                let what = format!("{address} is taken by {other}");
                self.report.add(path, *at, what, "give each front-end a port of its own");
            }
        }
    }

    /// The front-ends that are on, with the place in the file, 0 for a default.
    fn addresses(&mut self) -> Vec<(String, usize, SocketAddr)> {
        let mut all = Vec::new();
        for key in KEYS {
            if let super::slot::Slot::Address(Some(address)) = (key.slot)(&mut self.config) {
                let at = self.places.get(&key.path()).copied().unwrap_or_default();
                all.push((key.path(), at, *address));
            }
        }
        all
    }
}

fn is_global(name: &str) -> bool {
    KEYS.iter().any(|key| key.section.is_empty() && key.name == name)
}

fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    let same = one == other || one.is_unspecified() || other.is_unspecified();
    a.port() != 0 && a.port() == b.port() && same
}

/// Puts a value into the field of its key; `false`: it does not fit, and that was reported.
fn fill<T>(
    key: &Key<T>,
    target: &mut T,
    at: usize,
    value: &Spanned<DeValue<'_>>,
    report: &mut Report<'_>,
) -> bool {
    let mut slot = (key.slot)(target);
    let Err(what) = slot.fill(value.get_ref(), key.range) else { return true };
    let place = value.span().start.max(at);
    report.add(&key.path(), place, what, format!("give {}", slot.wants(key.range)));
    false
}

fn unknown(path: &str, at: usize, report: &mut Report<'_>) {
    let known = keys::all_paths();
    let near = nearest(path, known.iter().map(String::as_str)).unwrap_or_default();
    report.add(path, at, "unknown key", format!("did you mean {near}?"));
}

/// One table of an array of tables, and the names that it gives.
struct Entry<'a, T> {
    value: T,
    at: usize,
    given: Vec<&'a str>,
}

fn entries<'a, T>(
    path: &str,
    table: &[Key<T>],
    blank: fn() -> T,
    at: usize,
    value: &'a Spanned<DeValue<'_>>,
    report: &mut Report<'_>,
) -> Vec<Entry<'a, T>> {
    let array = value.get_ref().as_array();
    let tables: Option<Vec<_>> = array.map_or(Some(Vec::new()), |array| {
        array.iter().map(|one| Some((one.span().start, one.get_ref().as_table()?))).collect()
    });
    let Some(tables) = tables.filter(|_| array.is_some()) else {
        report.add(path, at, "must be an array of tables", format!("write [[{path}]]"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for (at, members_of) in tables {
        let mut entry = Entry { value: blank(), at, given: Vec::new() };
        for (name, at, value) in members(members_of) {
            entry.given.push(name);
            match table.iter().find(|key| key.name == name) {
                Some(key) => drop(fill(key, &mut entry.value, at, value, report)),
                None => unknown(&format!("{path}.{name}"), at, report),
            }
        }
        all.push(entry);
    }
    all
}

//! Users of the catalog, who are asked for while the configuration names none (taos, section 13).
//!
//! Method: of all of them together a table as that of the configuration is made, once for each
//! change of them, and it remembers what it checked. Roles and topics come from what is granted:
//! reading where anything was, writing where WRITE or ALL was, definitions where ALL was on `*.*`.

use super::access::failure;
use crate::config::access::{Credential, Secret};
use crate::config::{Access, Role, User};
use crate::model::table::Tables;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::schema::people::{Person, ROOT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The password of root until it is changed.
const ROOT_PASSWORD: &str = "taosdata";

/// The users as they were when the table was made.
type Made = Option<(Vec<Person>, Arc<Access>)>;

static MADE: Mutex<Made> = Mutex::new(None);

/// Who this is; `None` is root, who may do everything.
///
/// # Errors
/// Nobody.
pub(super) fn identify(
    user: &str,
    password: &str,
    peer: IpAddr,
    tables: &Tables,
) -> Result<Option<Arc<User>>, Wrong> {
    let people = Person::all(tables);
    let has_root = people.iter().any(|person| person.name == ROOT);
    if user == ROOT && !has_root {
        return if password == ROOT_PASSWORD { Ok(None) } else { Err(failure()) };
    }
    if people.iter().all(|person| person.name != user || person.option("enable", 1) == 0) {
        return Err(failure());
    }
    let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let found = access_of(people).identify(Some(Credential::Header(&header)), peer);
    let found = found.map_err(|_| failure())?;
    Ok(found.filter(|user| user.name != ROOT))
}

/// Whether the user is there no more, or may not sign in.
pub(super) fn is_gone(user: &User, tables: &Tables) -> bool {
    Person::find(tables, &user.name).is_none_or(|person| person.option("enable", 1) == 0)
}

/// The user as it is now; one that was dropped may do nothing.
pub(super) fn current(user: &User, tables: &Tables) -> User {
    match Person::find(tables, &user.name) {
        Some(person) => user_of(&person),
        None => User { roles: Vec::new(), topics: Vec::new(), ..user.clone() },
    }
}

/// The user with the topics that it may write.
pub(super) fn writer(user: &User, tables: &Tables) -> User {
    let mut person = Person::find(tables, &user.name);
    if let Some(person) = &mut person {
        person.grants.retain(|(own, _)| own == "all" || own == "write");
    }
    match &person {
        Some(person) => user_of(person),
        None => User { topics: Vec::new(), ..user.clone() },
    }
}

fn access_of(people: Vec<Person>) -> Arc<Access> {
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((before, access)) = &*made
        && *before == people
    {
        return Arc::clone(access);
    }
    let users: Vec<User> = people.iter().map(user_of).collect();
    let access = Arc::new(Access::new(&users));
    *made = Some((people, Arc::clone(&access)));
    access
}

/// A user with the roles and topics that were granted; without any it may only ask what touches no
/// table.
fn user_of(person: &Person) -> User {
    let mut roles = vec![Role::Read];
    let granted = |wanted: &str| person.grants.iter().any(|(own, _)| own == wanted || own == "all");
    if granted("write") {
        roles.push(Role::Write);
    }
    if person.grants.iter().any(|(own, on)| own == "all" && on == "*.*") {
        roles.push(Role::Admin);
    }
    // What a subscription may be read of is no table.
    let tables = person.grants.iter().filter(|(own, _)| own != "subscribe");
    let topic = |on: &String| if on == "*.*" { "*".to_owned() } else { on.clone() };
    User {
        name: person.name.clone(),
        password: Some(Secret::Hash(person.hash.clone())),
        token: None,
        roles,
        topics: tables.map(|(_, on)| topic(on)).collect(),
        hosts: vec!["*".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_is_what_may_be_done() {
        let pair = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let user = |grants: &[(&str, &str)]| {
            user_of(&Person {
                name: "u".into(),
                hash: String::new(),
                created: 0,
                options: Vec::new(),
                grants: grants.iter().map(pair).collect(),
            })
        };
        let nobody = user(&[]);
        assert!(nobody.may(Role::Read) && !nobody.may(Role::Write) && !nobody.may_touch("d.t"));
        let reader = user(&[("read", "d.*")]);
        assert!(reader.may_touch("d.t") && !reader.may_touch("e.t") && !reader.may(Role::Write));
        assert!(!user(&[("subscribe", "t")]).may_touch("t"));
        let all = user(&[("all", "*.*")]);
        assert!(all.may(Role::Admin) && all.may(Role::Write) && all.may_touch("x"));
    }
}

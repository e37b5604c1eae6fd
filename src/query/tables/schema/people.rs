//! Users that statements made, kept in the catalog while the configuration names none (taos,
//! section 13).
//!
//! Method: of a password only an argon2id hash is kept. What is granted is a list of privileges on
//! patterns of tables; whoever signs a user in makes roles and topics of it.

use super::{NAME, SHORT_NAME};
use crate::model::record::TimeNs;
use crate::model::table::rows::Cell;
use crate::model::table::{Entry, Kind, Require, Tables, detail, entry, set_details};
use crate::model::value::{Bytes, encode_bytes};
use crate::query::dialect::taos::Wrong;
use crate::query::dialect::taos::ast::UserChange;
use crate::query::tables::define::{define, entries};
use crate::query::tables::tmq::show::List;
use crate::query::tables::{World, codes};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher};

/// The user that always is, while the configuration names none.
pub const ROOT: &str = "root";
/// Users that there may be, and grants of one.
const PEOPLE_MAX: usize = 1024;
const GRANTS_MAX: usize = 256;
/// Bytes of a password.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 1..=255;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 23;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Unique.
    pub name: String,
    /// An argon2id PHC string.
    pub hash: String,
    /// When it was made.
    pub created: TimeNs,
    /// What is kept and shown.
    pub options: Vec<(String, String)>,
    /// Privileges and what they are on: `*.*`, `db.*`, `db.table`.
    pub grants: Vec<(String, String)>,
}

impl Person {
    /// All users of the catalog, by name.
    #[must_use]
    pub fn all(tables: &Tables) -> Vec<Self> {
        let all = tables.others(entry::USER_FAMILY);
        all.filter_map(|(name, value)| Self::decode(std::str::from_utf8(name).ok()?, value))
            .collect()
    }

    /// The user of this name.
    #[must_use]
    pub fn find(tables: &Tables, name: &str) -> Option<Self> {
        Self::decode(name, tables.other(entry::USER_FAMILY, name.as_bytes())?)
    }

    /// A number among the options.
    #[must_use]
    pub fn option(&self, name: &str, usual: i64) -> i64 {
        detail(&self.options, name).and_then(|value| value.parse().ok()).unwrap_or(usual)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        out.extend_from_slice(&self.created.to_le_bytes());
        encode_bytes(self.hash.as_bytes(), &mut out);
        entry::encode_pairs(&self.options, &mut out);
        entry::encode_pairs(&self.grants, &mut out);
        out
    }

    fn decode(name: &str, value: &[u8]) -> Option<Self> {
        let mut from = Bytes(value);
        if from.u8()? != 1 {
            return None;
        }
        let created = from.u64()? as i64;
        let hash = from.text()?.to_owned();
        let (options, grants) = (entry::decode_pairs(&mut from)?, entry::decode_pairs(&mut from)?);
        Some(Self { name: name.to_owned(), hash, created, options, grants })
    }
}

/// Carries out CREATE, ALTER and DROP USER, GRANT and REVOKE.
pub fn run(world: &mut World<'_>, name: &str, change: &UserChange) -> Result<(), Wrong> {
    if !world.about.keeps_users {
        return Err(codes::no_privilege());
    }
    let known = Person::find(&world.tables, name);
    let root = name == ROOT;
    let fresh = |hash, created| {
        let (options, grants) = (Vec::new(), Vec::new());
        Person { name: name.to_owned(), hash, created, options, grants }
    };
    let person = match change {
        UserChange::Create(..) if known.is_some() || root => return Err(codes::user_exists()),
        UserChange::Create(password, options) => {
            if Person::all(&world.tables).len() >= PEOPLE_MAX || name.len() > NAME_BYTES_MAX {
                return Err(codes::invalid_parameters());
            }
            let options = options.clone();
            Person { options, ..fresh(hash(password)?, world.bench.now()) }
        }
        UserChange::Drop(_) if root => return Err(codes::no_privilege()),
        UserChange::Drop(if_exists) => {
            if known.is_none() {
                return if *if_exists { Ok(()) } else { Err(codes::no_user()) };
            }
            let gone = Entry::remove(entry::USER_FAMILY, name);
            return define(world, entries(vec![gone]), codes::no_user);
        }
        UserChange::Password(password) if root => fresh(hash(password)?, world.bench.now()),
        // What root may do does not change.
        _ if root => return Err(codes::no_privilege()),
        other => altered(known.ok_or_else(codes::no_user)?, other)?,
    };
    let require = match change {
        UserChange::Create(..) => Require::Absent,
        _ if root => Require::Any,
        _ => Require::Present,
    };
    let put = Entry::put(entry::USER_FAMILY, name, person.encode(), require);
    define(world, entries(vec![put]), codes::user_exists)
}

fn altered(mut person: Person, change: &UserChange) -> Result<Person, Wrong> {
    match change {
        UserChange::Password(password) => person.hash = hash(password)?,
        UserChange::Options(list) => set_details(&mut person.options, list),
        UserChange::Grant(privileges, object) => {
            for privilege in privileges {
                let grant = (privilege.clone(), object.clone());
                if !person.grants.contains(&grant) {
                    person.grants.push(grant);
                }
            }
            if person.grants.len() > GRANTS_MAX {
                return Err(codes::invalid_parameters());
            }
        }
        UserChange::Revoke(privileges, object) => {
            let all = privileges.iter().any(|privilege| privilege == "all");
            let gone = |own: &String| all || privileges.contains(own);
            person.grants.retain(|(own, on)| on != object || !gone(own));
        }
        UserChange::Create(..) | UserChange::Drop(_) => {}
    }
    Ok(person)
}

fn hash(password: &str) -> Result<String, Wrong> {
    if !PASSWORD_BYTES.contains(&password.len()) {
        return Err(codes::invalid_parameters());
    }
    // Seeded by the system anew each time; a salt has to differ, not to be secret.
    let part = |n: u8| ahash::RandomState::new().hash_one(n).to_le_bytes();
    let salt = [part(0), part(1)].concat();
    let made: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    made.map(|hash| hash.to_string()).map_err(|_| codes::invalid_parameters())
}

/// `ins_user_privileges`
pub(super) fn privileges(world: &World<'_>) -> List {
    let columns = vec![
        ("user_name", Kind::Varchar(24)),
        ("privilege", Kind::Varchar(10)),
        ("db_name", SHORT_NAME),
        ("table_name", NAME),
    ];
    let mut rows = Vec::new();
    for person in Person::all(&world.tables) {
        for (privilege, object) in &person.grants {
            let (database, table) = object.split_once('.').unwrap_or((object, ""));
            rows.push([&person.name, privilege, database, table].map(Cell::text).to_vec());
        }
    }
    (columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_survive_the_catalog_and_no_cut_is_read() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let person = Person {
            name: "u".into(),
            hash: "$argon2id$".into(),
            created: 5,
            options: vec![pair("enable", "1")],
            grants: vec![pair("all", "d.*")],
        };
        let bytes = person.encode();
        assert_eq!(Person::decode("u", &bytes).unwrap(), person);
        assert!((0..bytes.len()).all(|cut| Person::decode("u", &bytes[..cut]).is_none()));
    }
}

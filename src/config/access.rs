//! Who may do what: the same for every front-end (configuration contract, "Access").
//!
//! Checking an argon2id hash costs tens of milliseconds and would stop a shard, so the outcome of
//! each distinct credential is remembered, in a bounded table, under a keyed hash of it.

use crate::model::name::glob_matches;
use ahash::{AHashMap, RandomState};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use base64::Engine;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Outcomes remembered; when full, all are forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// What a user may do; none includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Looks and subscribes.
    Read,
    /// Puts records in, takes from queues, deletes records.
    Write,
    /// Defines and deletes streams, flows, lookups, databases and tables.
    Admin,
}

/// A secret as the configuration gives it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// As it is.
    Plain(String),
    /// An argon2id PHC string.
    Hash(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `[[user]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Unique.
    pub name: String,
    /// For Basic.
    pub password: Option<Secret>,
    /// For Bearer and query strings.
    pub token: Option<Secret>,
    /// What.
    pub roles: Vec<Role>,
    /// On which topics: globs on short names.
    pub topics: Vec<String>,
    /// From which peer addresses: globs.
    pub hosts: Vec<String>,
}

impl User {
    /// Whether the user has `role`.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether the user may touch the topic of this short name.
    #[must_use]
    pub fn may_touch(&self, short: &str) -> bool {
        let full = (!short.contains('.')).then(|| format!("main.{short}"));
        self.topics.iter().any(|glob| {
            glob_matches(glob, short)
                || full.as_deref().is_some_and(|name| glob_matches(glob, name))
        })
    }
}

/// What a client shows.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// The value of an `Authorization` header.
    Header(&'a str),
    /// A bare token.
    Token(&'a str),
}

/// Credentials missing or wrong, or the peer's address is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unauthorized;

/// The users, and what is remembered of checks.
#[derive(Debug)]
pub struct Access {
    users: Vec<Arc<User>>,
    seed: RandomState,
    known: Mutex<AHashMap<u128, Option<usize>>>,
}

impl Access {
    /// Takes the configured users.
    #[must_use]
    pub fn new(users: &[User]) -> Self {
        Self {
            users: users.iter().cloned().map(Arc::new).collect(),
            seed: RandomState::new(),
            known: Mutex::default(),
        }
    }

    /// Whether everything is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// Who this is; `None` while everything is open.
    ///
    /// # Errors
    /// [`Unauthorized`].
    pub fn identify(
        &self,
        credential: Option<Credential<'_>>,
        peer: IpAddr,
    ) -> Result<Option<Arc<User>>, Unauthorized> {
        if self.is_open() {
            return Ok(None);
        }
        let index = credential.and_then(|c| self.find(c)).ok_or(Unauthorized)?;
        let user = &self.users[index];
        let address = peer.to_canonical().to_string();
        if user.hosts.iter().any(|glob| glob_matches(glob, &address)) {
            Ok(Some(Arc::clone(user)))
        } else {
            Err(Unauthorized)
        }
    }

    /// Whether a user that is refused is so for the address alone.
    #[must_use]
    pub fn is_elsewhere(&self, credential: Credential<'_>) -> bool {
        self.find(credential).is_some()
    }

    fn find(&self, credential: Credential<'_>) -> Option<usize> {
        let (name, secret) = match credential {
            Credential::Token(token) => (None, token.to_owned()),
            Credential::Header(value) => {
                let (scheme, rest) = value.trim().split_once(' ')?;
                let rest = rest.trim();
                if scheme.eq_ignore_ascii_case("bearer") {
                    (None, rest.to_owned())
                } else if scheme.eq_ignore_ascii_case("basic") {
                    let decoded = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
                    let text = String::from_utf8(decoded).ok()?;
                    let (name, password) = text.split_once(':')?;
                    (Some(name.to_owned()), password.to_owned())
                } else {
                    return None;
                }
            }
        };
        self.remembered(name.as_deref(), &secret)
    }

    fn remembered(&self, name: Option<&str>, secret: &str) -> Option<usize> {
        let low = self.seed.hash_one((name, secret));
        let high = self.seed.hash_one((secret, low, name));
        let key = u128::from(high) << 64 | u128::from(low);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = known.get(&key) {
            return *outcome;
        }
        let outcome = self.users.iter().position(|user| match name {
            Some(name) => user.name == name && matches(user.password.as_ref(), secret),
            None => matches(user.token.as_ref(), secret),
        });
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, outcome);
        outcome
    }
}

fn matches(expected: Option<&Secret>, given: &str) -> bool {
    match expected {
        None => false,
        Some(Secret::Plain(text)) => {
            let equal = text.bytes().zip(given.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b));
            text.len() == given.len() && equal == 0
        }
        Some(Secret::Hash(phc)) => PasswordHash::new(phc)
            .is_ok_and(|hash| Argon2::default().verify_password(given.as_bytes(), &hash).is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> User {
        User {
            name: "alice".into(),
            password: Some(Secret::Plain("secret".into())),
            token: Some(Secret::Plain("abc".into())),
            roles: vec![Role::Read],
            topics: vec!["fab.*".into(), "main.x*".into()],
            hosts: vec!["127.0.0.*".into()],
        }
    }

    #[test]
    fn credentials_hosts_and_topics_are_checked() {
        let access = Access::new(&[alice()]);
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let ask = |credential| access.identify(credential, peer).is_ok();
        assert!(ask(Some(Credential::Header("Basic YWxpY2U6c2VjcmV0"))));
        assert!(ask(Some(Credential::Header("bearer abc"))));
        assert!(ask(Some(Credential::Token("abc"))));
        for _ in 0..2 {
            assert!(!ask(Some(Credential::Token("abd"))));
            assert!(!ask(Some(Credential::Header("Basic YWxpY2U6c2VjcmU="))));
        }
        assert!(!ask(None) && !ask(Some(Credential::Header("Basic %%"))));
        let far: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(access.identify(Some(Credential::Token("abc")), far).is_err());
        let user = alice();
        assert!(user.may(Role::Read) && !user.may(Role::Write));
        assert!(user.may_touch("fab.s1") && user.may_touch("xy") && !user.may_touch("y"));
        assert!(Access::new(&[]).identify(None, far).unwrap().is_none());
    }
}

//! Who a client is: user and password, and the token that stands for both (taos, 9 and 13).

use super::people;
use crate::config::access::Credential;
use crate::config::{Role, User};
use crate::proto::Intake;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Rights;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use des::Des;
use des::cipher::generic_array::GenericArray;
use des::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use std::net::IpAddr;
use std::sync::Arc;

/// Key of the token: it encodes, it protects nothing.
const TOKEN_KEY: [u8; 8] = [0x40, 0xb6, 0x7a, 0x30, 0x56, 0x73, 0xfd, 0x44];
/// Bytes of the user in a token.
const USER_BYTES: usize = 24;

/// Wrong user or password: which, nobody is told.
#[must_use]
pub fn failure() -> Wrong {
    Wrong::new(0x0357, "Authentication failure")
}

/// Who this is; `None` while no users are configured.
///
/// # Errors
/// Nobody.
pub fn identify(
    user: &str,
    password: &str,
    peer: IpAddr,
    intake: &dyn Intake,
) -> Result<Option<Arc<User>>, Wrong> {
    if intake.access().is_open() {
        return people::identify(user, password, peer, &intake.tables());
    }
    let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    ask(Credential::Header(&header), peer, intake)
}

/// Who shows this token.
///
/// # Errors
/// Nobody.
pub fn identify_token(
    token: &str,
    peer: IpAddr,
    intake: &dyn Intake,
) -> Result<Option<Arc<User>>, Wrong> {
    if intake.access().is_open() {
        return Err(failure());
    }
    ask(Credential::Token(token), peer, intake)
}

fn ask(
    credential: Credential<'_>,
    peer: IpAddr,
    intake: &dyn Intake,
) -> Result<Option<Arc<User>>, Wrong> {
    intake.access().identify(Some(credential), peer).map_err(|_| {
        // The password is right, so that it is no secret where it would count.
        match intake.access().is_elsewhere(credential) {
            true => Wrong::new(0xFFFF, "whitelist prohibits current IP access"),
            false => failure(),
        }
    })
}

/// What the user may do.
#[must_use]
pub fn rights(user: Option<&Arc<User>>, intake: &dyn Intake) -> Arc<Rights> {
    // What was granted meanwhile counts.
    let current = match user {
        Some(user) if intake.access().is_open() => {
            Some(Arc::new(people::current(user, &intake.tables())))
        }
        other => other.cloned(),
    };
    let user = current.as_ref();
    let may = |role| user.is_none_or(|user| user.may(role));
    let (read, write, admin) = (may(Role::Read), may(Role::Write), may(Role::Admin));
    let user = user.cloned();
    let writer = match &user {
        Some(user) if intake.access().is_open() => {
            Some(Arc::new(people::writer(user, &intake.tables())))
        }
        other => other.clone(),
    };
    let touches = |user: Option<Arc<User>>| {
        Box::new(move |name: &str| user.as_ref().is_none_or(|user| user.may_touch(name)))
    };
    let (may_touch, may_write) = (touches(user), touches(writer));
    Arc::new(Rights { read, write, admin, may_touch, may_write })
}

/// The token of a user and a password.
#[must_use]
pub fn token(user: &str, password: &str) -> Option<String> {
    if user.len() > USER_BYTES {
        return None;
    }
    let mut bytes = user.as_bytes().to_vec();
    bytes.resize(USER_BYTES, 0);
    bytes.extend_from_slice(password.as_bytes());
    let length = bytes.len().next_multiple_of(8).max(2 * USER_BYTES);
    bytes.resize(length, 0);
    let cipher = Des::new(GenericArray::from_slice(&TOKEN_KEY));
    for block in bytes.as_chunks_mut::<8>().0 {
        cipher.encrypt_block(GenericArray::from_mut_slice(block));
    }
    Some(STANDARD.encode(bytes))
}

/// User and password of a token.
#[must_use]
pub fn read_token(token: &str) -> Option<(String, String)> {
    let mut bytes = STANDARD.decode(token.trim()).ok()?;
    if bytes.len() < 2 * USER_BYTES || bytes.len() % 8 != 0 {
        return None;
    }
    let cipher = Des::new(GenericArray::from_slice(&TOKEN_KEY));
    for block in bytes.as_chunks_mut::<8>().0 {
        cipher.decrypt_block(GenericArray::from_mut_slice(block));
    }
    let (user, password) = bytes.split_at(USER_BYTES);
    let text = |part: &[u8]| {
        let end = part.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
        String::from_utf8(part.get(..end)?.to_vec()).ok()
    };
    Some((text(user)?, text(password)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_both_ways() {
        let known = "/KfeAzX/f9na8qdtNZmtONryp201ma04bEl8LcvLUd7a8qdtNZmtONryp201ma04";
        assert_eq!(token("root", "taosdata").unwrap(), known);
        assert_eq!(read_token(known).unwrap(), ("root".into(), "taosdata".into()));
        assert!(read_token("").is_none() && read_token("AAAA").is_none());
    }
}

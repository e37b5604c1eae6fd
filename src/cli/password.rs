//! `weir hash-password`: one line in, one argon2id PHC string out.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher};
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

/// Bytes of salt, as the PHC specification recommends.
const SALT_BYTES: usize = 16;

/// Reads the password and gives its hash.
///
/// # Errors
/// What went wrong, with its remedy.
pub fn run() -> Result<String, String> {
    let password = read_line().map_err(|error| format!("cannot read standard input: {error}"))?;
    if password.is_empty() {
        return Err("the password is empty; give one line on standard input".to_owned());
    }
    let mut salt = [0; SALT_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut salt))
        .map_err(|error| format!("cannot read /dev/urandom: {error}; is /dev mounted?"))?;
    hash(&password, &salt)
}

fn hash(password: &str, salt: &[u8]) -> Result<String, String> {
    let made: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.as_bytes(), salt);
    made.map(|hash| hash.to_string()).map_err(|error| format!("cannot hash: {error}"))
}

/// One line without its end; not shown while it is typed.
fn read_line() -> io::Result<String> {
    let input = io::stdin();
    let hidden = input.is_terminal().then(|| {
        eprint!("Password: ");
        let _ = io::stderr().flush();
        Hidden::new()
    });
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    drop(hidden);
    read?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// While it lives, the terminal shows nothing that is typed.
struct Hidden;

impl Hidden {
    fn new() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
        eprintln!();
    }
}

/// A terminal that cannot be set goes on showing what is typed, which is no reason to fail.
fn stty(mode: &str) {
    let _ = Command::new("stty").arg(mode).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_taken_by_the_configuration() {
        let phc = hash("secret", &[7; SALT_BYTES]).unwrap();
        let text = format!("[[user]]\nname = \"a\"\npassword_hash = \"{phc}\"");
        assert!(crate::config::parse(&text).is_ok(), "{phc}");
        assert_eq!(phc, hash("secret", &[7; SALT_BYTES]).unwrap());
        assert_ne!(phc, hash("secret", &[8; SALT_BYTES]).unwrap());
    }
}

//! `weir check`: what would be used, or what is wrong.

use crate::config::{self, Config, Problem, render};
use std::path::Path;

/// The text of what would be used, or of all problems.
///
/// # Errors
/// A line for each problem: `file:line:column: key: what; remedy`.
pub fn run(path: Option<&Path>) -> Result<String, String> {
    load(path).map(|config| render::effective(&config))
}

/// The configuration, or the lines that say what is wrong with it.
///
/// # Errors
/// As [`run`].
pub fn load(path: Option<&Path>) -> Result<Config, String> {
    config::load(path).map_err(|problems| {
        let file = path.unwrap_or(Path::new("defaults")).display();
        problems.iter().map(|problem| line(&file.to_string(), problem)).collect()
    })
}

fn line(file: &str, problem: &Problem) -> String {
    // A place is written without a blank behind the file, so that editors jump to it.
    let blank = if problem.line == 0 { " " } else { "" };
    format!("{file}:{blank}{problem}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_the_file() {
        let path = std::env::temp_dir().join(format!("weir-check-{}.toml", std::process::id()));
        std::fs::write(&path, "pin = 1\n[mesh]\nnod = 1\n").unwrap();
        let said = run(Some(&path)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        let file = path.display();
        assert_eq!(
            said,
            format!(
                "{file}:1:7: pin: is 1, a number; give true or false\n\
                 {file}:3:1: mesh.nod: unknown key; did you mean mesh.node?\n"
            )
        );
        let said = run(Some(&path)).unwrap_err();
        assert!(said.starts_with(&format!("{file}: cannot be read: No such file")), "{said}");
        assert!(run(None).unwrap().contains("node = 1\n"));
    }
}

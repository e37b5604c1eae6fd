//! Where queries may write files: below `files_dir`, nowhere else.

use super::pipeline::{Operator, Pipeline};
use super::program::{Env, Lookups, Program, World, evaluate};
use crate::model::value::Value;
use std::path::{Component, Path, PathBuf};

/// The file that `name` means.
///
/// # Errors
/// A sentence that names the path: no directory is configured, the name is absolute or leaves it,
/// or a symbolic link stands on the way.
pub fn resolve(dir: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    let Some(dir) = dir else {
        return Err(format!("File '{name}' cannot be written: files_dir is not configured"));
    };
    let relative = Path::new(name);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.contains('\0') || !plain {
        return Err(format!("File '{name}' is not a relative path inside files_dir"));
    }
    let mut path = dir.to_owned();
    for part in relative.components() {
        path.push(part);
        let link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if link {
            return Err(format!("File '{name}' is or lies behind a symbolic link"));
        }
    }
    Ok(path)
}

/// The text of a path expression; what is missing or no text is refused.
///
/// # Errors
/// As [`resolve`].
pub fn evaluate_path(
    program: &Program,
    lookups: &Lookups,
    dir: Option<&Path>,
) -> Result<PathBuf, String> {
    let world = World { now_ms: 0, lookups };
    let env = Env { record: &Value::Missing, columns: &[], slots: &[], world: &world };
    match evaluate(program, &env, &mut Vec::new()) {
        Ok(Value::String(name)) => resolve(dir, &name),
        Ok(_) => Err("The path of a file must be a text".to_owned()),
        Err(fault) => Err(fault.0.into_owned()),
    }
}

/// Checks the paths of all files that a pipeline names.
///
/// # Errors
/// The first that is not allowed.
pub fn check(pipeline: &Pipeline, lookups: &Lookups, dir: Option<&Path>) -> Result<(), String> {
    for stage in &pipeline.stages {
        if let Operator::WriteFile { path, .. } | Operator::Expect(path) = &stage.operator {
            evaluate_path(path, lookups, dir)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_taken() {
        let dir = std::env::temp_dir().join(format!("weir-place-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let _ = std::os::unix::fs::symlink("/etc", dir.join("link"));
        assert_eq!(resolve(Some(&dir), "a/b.ndjson").unwrap(), dir.join("a/b.ndjson"));
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "./x", "link/passwd", "link"] {
            assert!(resolve(Some(&dir), bad).is_err(), "{bad}");
        }
        assert!(resolve(None, "x").is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

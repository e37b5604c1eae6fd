//! Keeps the shape of the tree: who may import whom, the five absences, sizes. A ratchet: bounds only
//! go down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules in reading order: each imports only from those above it (and itself).
const LAYERS: &[&str] = &[
    "limits", "model", "metrics", "sys", "wire", "query", "config", "log", "subs", "broker",
    "fanout", "proto", "admin", "shard", "cli", "boot",
];
/// Modules that a front-end never sees.
const HIDDEN_FROM_PROTO: &[&str] = &["log", "subs", "broker", "shard", "sys"];
/// Front-ends.
const FRONT_ENDS: &[&str] = &["jsonjet", "mesh", "nsdb", "raw", "taos"];
/// Lines of a file at the very most.
const FILE_LINES_MAX: usize = 800;
/// Files that may have more than 500 lines, today.
const LONG_FILES_MAX: usize = 4;
/// Lines of a function at most, and how many functions may have more, today.
const FUNCTION_LINES_MAX: usize = 70;
const LONG_FUNCTIONS_MAX: usize = 4;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 100;
/// Files in a folder.
const FOLDER_FILES_MAX: usize = 12;
/// Crates in the default build.
const CRATES_MAX: usize = 200;

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut list = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let first = inside.iter().next().unwrap().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&path).unwrap();
                list.push(Source { path: inside.to_owned(), module, text });
            }
        }
    }
    assert!(list.len() > 50, "the sources were found");
    list
}

/// What stands before the tests of a file.
fn code(source: &Source) -> &str {
    if source
        .path
        .components()
        .any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "tests.rs")))
    {
        return "";
    }
    source.text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in text.split("crate::").skip(1) {
        if let Some(list) = part.strip_prefix('{') {
            for item in list.split('}').next().unwrap().split(',') {
                found.insert(item.trim().split("::").next().unwrap().to_owned());
            }
        } else {
            let word = part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            found.insert(word.to_owned());
        }
    }
    found
}

#[test]
fn imports_point_only_up() {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = rank(&source.module) else { continue };
        for import in imports(code(&source)) {
            if rank(&import).is_some_and(|other| other > own) {
                wrong.push(format!("{} imports {import}", source.path.display()));
            }
            let hidden = HIDDEN_FROM_PROTO.contains(&import.as_str());
            if source.module == "proto" && hidden {
                wrong.push(format!("{} sees {import}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_is_in_the_table() {
    for source in sources() {
        let known = LAYERS.contains(&source.module.as_str());
        assert!(known || ["lib", "main"].contains(&source.module.as_str()), "{}", source.module);
    }
}

#[test]
fn the_broker_knows_no_protocol_socket_clock_or_chance() {
    for source in sources().iter().filter(|s| s.module == "broker") {
        let words = code(source).to_lowercase();
        let words: String =
            words.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for word in
            ["jsonjet", "nsdb", "taos", "websocket", "instant::now", "systemtime", "random", "tcp"]
        {
            assert!(!words.contains(word), "{} says {word}", source.path.display());
        }
    }
}

#[test]
fn no_front_end_imports_another() {
    for source in sources().iter().filter(|s| s.module == "proto") {
        for own in FRONT_ENDS.iter().filter(|f| source.path.starts_with(format!("proto/{f}"))) {
            for other in FRONT_ENDS.iter().filter(|other| *other != own) {
                let path = format!("proto::{other}");
                assert!(!source.text.contains(&path), "{} imports {other}", source.path.display());
            }
        }
    }
}

#[test]
fn the_wire_has_never_heard_of_a_topic() {
    for source in sources().iter().filter(|s| s.module == "wire") {
        assert!(!code(source).to_lowercase().contains("topic"), "{}", source.path.display());
    }
}

#[test]
fn unsafe_and_the_system_are_in_sys_only() {
    for source in sources().iter().filter(|s| s.module != "sys") {
        let text = code(source);
        for word in ["unsafe ", "unsafe{", "glommio::", "memmap2::", "libc::"] {
            let found = text.lines().any(|l| !l.trim_start().starts_with("//") && l.contains(word));
            assert!(!found, "{} has {word}", source.path.display());
        }
    }
}

#[test]
fn the_model_derives_no_serde() {
    for source in sources().iter().filter(|s| s.module == "model") {
        assert!(!source.text.contains("serde"), "{}", source.path.display());
    }
}

#[test]
fn files_open_with_their_method_and_stay_short() {
    let mut long = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(source.text.starts_with("//!"), "{} has no head", source.path.display());
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", source.path.display());
        if lines > 500 {
            long.push(format!("{} {lines}", source.path.display()));
        }
    }
    assert!(long.len() <= LONG_FILES_MAX, "{long:#?}");
}

#[test]
fn lines_are_at_most_100_characters() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (number, line) in code(&source).lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX && !line.contains('"') {
                wrong.push(format!("{}:{}", source.path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn functions_are_at_most_70_lines() {
    let mut long = Vec::new();
    for source in sources() {
        let mut begun: Option<(usize, usize, String)> = None;
        for (number, line) in code(&source).lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let is_head = ["fn ", "pub fn ", "pub(super) fn ", "async fn ", "pub async fn "]
                .iter()
                .any(|start| head.starts_with(start));
            if is_head && begun.is_none() && !line.trim_end().ends_with(';') {
                begun = Some((number, indent, head.to_owned()));
            } else if let Some((start, at, name)) = &begun
                && line.starts_with(&format!("{}}}", " ".repeat(*at)))
            {
                if number - start + 1 > FUNCTION_LINES_MAX {
                    long.push(format!("{}: {name}", source.path.display()));
                }
                begun = None;
            }
        }
    }
    assert!(long.len() <= LONG_FUNCTIONS_MAX, "{long:#?}");
}

#[test]
fn folders_are_small_and_flat() {
    let mut count = std::collections::BTreeMap::<PathBuf, usize>::new();
    for source in sources() {
        *count.entry(source.path.parent().unwrap().to_owned()).or_default() += 1;
        assert!(source.path.components().count() <= 5, "{} is too deep", source.path.display());
    }
    for (folder, files) in count {
        assert!(files <= FOLDER_FILES_MAX, "{} has {files} files", folder.display());
    }
}

#[test]
fn the_default_build_stays_small() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--prefix", "none", "-e", "normal,build", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(lock.exists() && tree.status.success(), "cargo tree runs");
    let text = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = text.lines().map(|l| l.trim_end_matches(" (*)")).collect();
    assert!(crates.len() < CRATES_MAX, "{} crates", crates.len());
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let lines: Vec<&str> = section.lines().filter(|l| !l.is_empty()).collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, l)| !l.starts_with('#')) {
        assert!(index > 0 && lines[index - 1].starts_with('#'), "no reason for {line}");
    }
}

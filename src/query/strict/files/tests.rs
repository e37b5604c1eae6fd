//! Where files may lie.

use super::*;
use crate::query::strict::plan::Node;

#[test]
fn only_regular_files_inside_the_folder_are_read() {
    let base = std::env::temp_dir().join(format!("weir-files-{}", std::process::id()));
    let folder = base.join("inside");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/a.txt"), "x\n").unwrap();
    std::fs::write(base.join("secret.txt"), "no\n").unwrap();
    std::os::unix::fs::symlink(base.join("secret.txt"), folder.join("out.txt")).unwrap();
    std::os::unix::fs::symlink(folder.join("sub/a.txt"), folder.join("in.txt")).unwrap();
    let absolute = format!("file:{}", folder.join("sub/a.txt").display());
    let ask = |location: &str| {
        let mut source = FileSource::new(Node::NULL, Some(Format::Lines));
        look(Some(&folder), location, &mut source).map(|_| ())
    };
    for good in ["file:sub/a.txt", "file:./sub/a.txt", "file:in.txt", &absolute] {
        assert_eq!(ask(good), Ok(()), "{good}");
    }
    for bad in [
        "file:../secret.txt",
        "file:sub/../../secret.txt",
        "file:out.txt",
        "file:sub",
        "file:",
        "sub/a.txt",
        "http://x/a.txt",
        "file:/etc/passwd",
        "file:/nowhere/x",
        "file:/dev/zero",
    ] {
        assert_eq!(ask(bad), Err(FileError::NotAllowed), "{bad}");
    }
    assert_eq!(ask("file:sub/none.txt"), Err(FileError::NotFound));
    assert_eq!(ask("file:none/none.txt"), Err(FileError::NotFound));
    let mut source = FileSource::new(Node::NULL, Some(Format::Lines));
    let nowhere = look(None, "file:sub/a.txt", &mut source).map(|_| ());
    assert_eq!(nowhere, Err(FileError::NotAllowed));
    std::fs::remove_dir_all(&base).unwrap();
}

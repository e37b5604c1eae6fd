//! Where statements and words of a JET text end. Linear, without recursion, blind to what is inside
//! strings and comments.

/// Splits a program at the `;` that stand outside strings, comments and brackets. Parts of blanks
/// and comments only are left out.
#[must_use]
pub fn split(program: &str) -> Vec<&str> {
    let bytes = program.as_bytes();
    let mut parts = Vec::new();
    let (mut start, mut at, mut depth) = (0, 0, 0_usize);
    let mut blank = true;
    while let Some(&byte) = bytes.get(at) {
        let next = skip_blank_or_comment(bytes, at);
        if next > at {
            at = next;
            continue;
        }
        match byte {
            b'"' | b'\'' => {
                at = end_of_string(bytes, at);
                blank = false;
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => {
                if !blank {
                    parts.push(&program[start..at]);
                }
                at += 1;
                (start, blank) = (at, true);
                continue;
            }
            _ => {}
        }
        blank = false;
        at += 1;
    }
    if !blank {
        parts.push(&program[start..]);
    }
    parts
}

/// The position after blanks and comments at `at`.
pub(super) fn skip(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let next = skip_blank_or_comment(bytes, at);
        if next == at {
            return at;
        }
        at = next;
    }
}

fn skip_blank_or_comment(bytes: &[u8], at: usize) -> usize {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b' ' | b'\t' | b'\r' | b'\n'), _) => at + 1,
        (Some(b'/'), Some(b'/')) => {
            memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1)
        }
        (Some(b'/'), Some(b'*')) => {
            memchr::memmem::find(&bytes[at + 2..], b"*/").map_or(bytes.len(), |n| at + n + 4)
        }
        _ => at,
    }
}

/// The position after the string that begins at `at`; the end of the text if it is not closed.
pub(super) fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let quote = bytes.get(at).copied().unwrap_or(b'"');
    let mut end = at + 1;
    while let Some(&byte) = bytes.get(end) {
        match byte {
            b'\\' => end += 2,
            _ if byte == quote => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// Line and column of byte `at`, from 1, columns in characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_free_semicolons() {
        for (program, want) in [
            ("", vec![]),
            (" ; // x\n ; /* ; */ ", vec![]),
            ("a; b ;", vec!["a", " b "]),
            ("insert into o { t: \"a;b\" }; list", vec!["insert into o { t: \"a;b\" }", " list"]),
            ("x 'it\\'s;'; y", vec!["x 'it\\'s;'", " y"]),
            ("scan(a; b); c", vec!["scan(a; b)", " c"]),
            ("a // ; no\n; b", vec!["a // ; no\n", " b"]),
        ] {
            assert_eq!(split(program), want, "{program}");
        }
        assert_eq!(place("ab\ncé d", 7), (2, 4));
    }
}

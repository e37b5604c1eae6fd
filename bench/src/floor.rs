//! What the disk allows: one 4 KiB overwrite of blocks written before, and its sync, one after the other.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Result;
use crate::args::Args;
use crate::line::{Line, histogram};
use crate::proc::now_ns;

const BLOCK: usize = 4096;
/// Written beforehand; the run goes round in it.
const FILE_BYTES: u64 = 16 << 20;

/// `floor`: `dir=` for `seconds=`.
pub fn run(args: &Args) -> Result<String> {
    let path = Path::new(args.must("dir")?).join("weir-bench-floor");
    let done = measure(&path, args.or("seconds", 1.0)?);
    std::fs::remove_file(&path).ok();
    done
}

fn measure(path: &Path, seconds: f64) -> Result<String> {
    let text = |e: std::io::Error| format!("{}: {e}", path.display());
    let file =
        OpenOptions::new().create(true).truncate(true).write(true).open(path).map_err(text)?;
    let block = [7u8; BLOCK];
    for at in (0..FILE_BYTES).step_by(BLOCK) {
        file.write_all_at(&block, at).map_err(text)?;
    }
    file.sync_all().map_err(text)?;
    let mut latency = histogram();
    let begin = now_ns();
    let end = begin + (seconds * 1e9) as u64;
    let (mut now, mut at) = (begin, 0);
    while now < end {
        file.write_all_at(&block, at).map_err(text)?;
        file.sync_data().map_err(text)?;
        let done = now_ns();
        latency.saturating_record(done - now);
        now = done;
        at = (at + BLOCK as u64) % FILE_BYTES;
    }
    let rate = latency.len() as f64 * 1e9 / (now - begin) as f64;
    Ok(Line::new().float("acks_s", rate).quantiles("us", &latency).end())
}

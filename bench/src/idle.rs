//! Memory of idle subscribed connections: what the server holds before, and some time after, they are opened.

use std::time::Duration;

use crate::Result;
use crate::args::Args;
use crate::line::Line;
use crate::proc::{self, now_ns};
use crate::proto;

/// `idle`: opens what a fan-out would (one subscriber on each of `subs=` connections) and publishes nothing.
pub fn run(args: &Args) -> Result<String> {
    proc::raise_files();
    let pid = args.or("pid", 0)?;
    let (before, before_own) = proc::resident(pid);
    let begin = now_ns();
    let plan = proto::plan(args)?;
    let seconds = (now_ns() - begin) as f64 / 1e9;
    let count = plan.subscribers.len() as u64;
    std::thread::sleep(Duration::from_secs_f64(args.or("settle", 2.0)?));
    let (after, after_own) = proc::resident(pid);
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / count.max(1) as f64;
    let line = Line::new()
        .int("conns", count)
        .int("rss_before", before)
        .int("rss", after)
        .float("bytes_conn", each(before, after))
        .float("bytes_conn_anon", each(before_own, after_own))
        .float("opened_s", count as f64 / seconds);
    Ok(line.end())
}

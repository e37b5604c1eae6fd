//! From the start of a process to its first accepted connection, and from SIGTERM to its end.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::args::Args;
use crate::line::Line;
use crate::proc::{self, now_ns};

const GIVE_UP_NS: u64 = 60_000_000_000;
const LOOK: Duration = Duration::from_micros(100);

/// `start`: runs the command after `--` and looks every 100 us whether `addr=` accepts.
pub fn run(args: &Args) -> Result<String> {
    let addr: SocketAddr = args.must("addr")?.parse().map_err(|_| "addr= is no address")?;
    let (program, words) = args.command.split_first().ok_or("a command after -- is missing")?;
    let begin = now_ns();
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    let listening = loop {
        if TcpStream::connect(addr).is_ok() {
            break Ok(now_ns());
        }
        if let Ok(Some(status)) = child.try_wait() {
            break Err(format!("{program} ended: {status}"));
        }
        if now_ns() - begin > GIVE_UP_NS {
            break Err(format!("{program} does not listen on {addr}"));
        }
        std::thread::sleep(LOOK);
    };
    std::thread::sleep(Duration::from_secs_f64(args.or("settle", 0.5)?));
    let (resident, own) = proc::resident(child.id());
    let stopping = now_ns();
    // SAFETY: no pointers; the child has not been waited for, so its id is its own.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    let status = child.wait().map_err(|e| e.to_string())?;
    let ms = |from: u64, to: u64| (to - from) as f64 / 1e6;
    let line = Line::new()
        .float("start_ms", ms(begin, listening?))
        .float("stop_ms", ms(stopping, now_ns()))
        .int("exit", status.code().unwrap_or(255) as u64)
        .int("rss", resident)
        .int("rss_anon", own);
    Ok(line.end())
}

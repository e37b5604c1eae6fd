//! Signals, and the service manager's notification socket.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Blocks SIGTERM, SIGINT and SIGHUP for this thread and those it starts; take them by
/// [`next_signal`].
pub fn hold_signals() {
    // SAFETY: a signal set on the stack, initialised by the first call.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        fill(&mut set);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

fn fill(set: &mut libc::sigset_t) {
    // SAFETY: a valid set.
    unsafe {
        libc::sigemptyset(set);
        libc::sigaddset(set, libc::SIGTERM);
        libc::sigaddset(set, libc::SIGINT);
        libc::sigaddset(set, libc::SIGHUP);
    }
}

/// What the operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Waits at most `timeout` for a held signal.
#[must_use]
pub fn next_signal(timeout: Duration) -> Option<Signal> {
    // SAFETY: the set is initialised; the information is not wanted; the time is valid.
    let number = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        fill(&mut set);
        let time = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const time)
    };
    match number {
        libc::SIGTERM | libc::SIGINT => Some(Signal::Stop),
        libc::SIGHUP => Some(Signal::Reload),
        _ => None,
    }
}

/// Tells the service manager a state such as `READY=1`; without one, does nothing.
///
/// # Errors
/// The socket named by `NOTIFY_SOCKET` cannot be reached.
pub fn service_state(state: &str) -> io::Result<()> {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return Ok(()) };
    let socket = UnixDatagram::unbound()?;
    if let Some(name) = path.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        socket.send_to_addr(state.as_bytes(), &address)?;
    } else {
        socket.send_to(state.as_bytes(), path)?;
    }
    Ok(())
}

/// How often the service manager wants to hear of us, if it does.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let ours = std::env::var("WATCHDOG_PID")
        .ok()
        .is_none_or(|pid| pid.parse().is_ok_and(|pid: u32| pid == std::process::id()));
    ours.then(|| Duration::from_micros(micros / 2))
}

/// Whether our standard error goes to the journal.
#[must_use]
pub fn under_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

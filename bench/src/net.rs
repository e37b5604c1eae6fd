//! Sockets that do not block, and the readiness of many of them.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

use crate::Result;
use crate::walk::{Mark, Walk};

/// How long the set-up waits for an answer.
const PATIENCE_MS: i32 = 10_000;

/// One connection.
pub struct Conn {
    stream: TcpStream,
    carry: Vec<u8>,
    /// Between which frames it stands.
    pub walk: Walk,
    /// Between which time stamps.
    pub mark: Mark,
    /// Still readable; false after its end.
    pub open: bool,
}

impl Conn {
    /// Connects; small writes go at once, and the end is a reset so that no port stays in TIME_WAIT
    /// (ten thousand connections a run would use them up).
    pub fn open(addr: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr).map_err(|e| format!("{addr}: {e}"))?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_nonblocking(true))
            .map_err(|e| e.to_string())?;
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        // SAFETY: the structure is valid for the call and its size is given.
        unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of::<libc::linger>() as u32,
            );
        }
        Ok(Self { stream, carry: vec![], walk: Walk::default(), mark: Mark::default(), open: true })
    }

    /// Its descriptor.
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Writes what the socket takes now.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match (&self.stream).write(bytes) {
            Ok(count) => Ok(count),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(e) => Err(format!("write: {e}")),
        }
    }

    /// Reads what is there: `None` if nothing is, `Some(0)` at the end, which closes it.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match (&self.stream).read(buffer) {
            Ok(0) => {
                self.open = false;
                Some(0)
            }
            Ok(count) => Some(count),
            Err(e) if e.kind() == ErrorKind::WouldBlock => None,
            Err(_) => {
                self.open = false;
                Some(0)
            }
        }
    }

    /// Writes all, waiting for room.
    pub fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let count = self.write(bytes)?;
            bytes = &bytes[count..];
            if count == 0 {
                self.wait(libc::POLLOUT)?;
            }
        }
        Ok(())
    }

    /// Waits for exactly so many bytes.
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.carry.len() < count {
            self.more()?;
        }
        let rest = self.carry.split_off(count);
        Ok(std::mem::replace(&mut self.carry, rest))
    }

    /// Waits for bytes up to and with `end`.
    pub fn until(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.carry, end) {
                return self.exactly(at + end.len());
            }
            self.more()?;
        }
    }

    /// What was read during the set-up and not used.
    pub fn leftover(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    fn more(&mut self) -> Result<()> {
        let mut buffer = [0; 16384];
        loop {
            match self.read(&mut buffer) {
                Some(0) => return Err("the server ended the connection during the set-up".into()),
                Some(count) => {
                    self.carry.extend_from_slice(&buffer[..count]);
                    return Ok(());
                }
                None => self.wait(libc::POLLIN)?,
            }
        }
    }

    fn wait(&self, events: i16) -> Result<()> {
        let mut poll = libc::pollfd { fd: self.fd(), events, revents: 0 };
        // SAFETY: one valid entry.
        match unsafe { libc::poll(&raw mut poll, 1, PATIENCE_MS) } {
            0 => Err(format!("no answer within {} s", PATIENCE_MS / 1000)),
            n if n < 0 => Err(Error::last_os_error().to_string()),
            _ => Ok(()),
        }
    }
}

/// Readiness to read of many connections, by a number of the caller's.
pub struct Poller {
    fd: RawFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    /// Watches nothing yet.
    pub fn new() -> Self {
        // SAFETY: no pointers.
        let fd = unsafe { libc::epoll_create1(0) };
        assert!(fd >= 0, "epoll_create1: {}", Error::last_os_error());
        Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; 512] }
    }

    /// Watches a connection.
    pub fn add(&self, conn: &Conn, number: usize) {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number as u64 };
        // SAFETY: the event is valid for the call.
        let done =
            unsafe { libc::epoll_ctl(self.fd, libc::EPOLL_CTL_ADD, conn.fd(), &raw mut event) };
        assert!(done == 0, "epoll_ctl: {}", Error::last_os_error());
    }

    /// Leaves a connection out from now on.
    pub fn remove(&self, conn: &Conn) {
        // SAFETY: no event is needed to delete.
        unsafe { libc::epoll_ctl(self.fd, libc::EPOLL_CTL_DEL, conn.fd(), std::ptr::null_mut()) };
    }

    /// Looks, without waiting, which are ready, and says how many.
    pub fn look(&mut self) -> usize {
        let max = self.events.len() as i32;
        // SAFETY: the array has room for `max` events.
        unsafe { libc::epoll_wait(self.fd, self.events.as_mut_ptr(), max, 0) }.max(0) as usize
    }

    /// The number of the `at`th ready one.
    pub fn ready(&self, at: usize) -> usize {
        self.events[at].u64 as usize
    }
}

//! Non-blocking TCP sockets, the epoll set of a shard, and its bell.
//!
//! Cost: one `recv` for each readable socket and turn, one `send` for each connection with output
//! and turn, one `epoll_wait` for each turn. Interest in writing is registered only while a socket
//! is full.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A connected socket, closed when dropped.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// What a non-blocking read or write did.
#[derive(Debug)]
pub enum Transfer {
    /// So many bytes were moved; 0 on a read is the end of the stream.
    Bytes(usize),
    /// Nothing can be moved now.
    WouldBlock,
    /// The connection is broken.
    Failed(io::Error),
}

fn transferred(count: isize) -> Transfer {
    if count >= 0 {
        return Transfer::Bytes(count as usize);
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Transfer::WouldBlock,
        _ => Transfer::Failed(error),
    }
}

impl Socket {
    /// Reads what has arrived into `buffer`.
    pub fn receive(&self, buffer: &mut [u8]) -> Transfer {
        // SAFETY: the pointer and length are those of a live exclusive slice.
        let count = unsafe {
            libc::recv(
                self.0.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
            )
        };
        transferred(count)
    }

    /// Writes as much of `bytes` as the socket takes.
    pub fn send(&self, bytes: &[u8]) -> Transfer {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: the pointer and length are those of a live slice.
        let count =
            unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
        transferred(count)
    }

    /// Ends the sending side; what was sent before still arrives.
    pub fn finish_sending(&self) {
        // SAFETY: plain call on a live descriptor.
        unsafe { libc::shutdown(self.0.as_raw_fd(), libc::SHUT_WR) };
    }

    /// The number by which the epoll set knows this socket.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A listening socket, one for each shard and port (SO_REUSEPORT: the kernel spreads the
/// connections).
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
}

/// What `accept` found.
#[derive(Debug)]
pub enum Accepted {
    /// A new connection.
    Socket(Socket, SocketAddr),
    /// Nobody waits.
    None,
    /// The process has no file descriptor or memory left; try again later.
    Exhausted(io::Error),
}

impl Listener {
    /// Binds and listens.
    ///
    /// # Errors
    /// What the system says: address in use, not ours, no permission.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let (family, storage, length) = raw_address(address);
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain call; the result is checked before it becomes an owned descriptor.
        let fd = unsafe { libc::socket(family, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is fresh and owned by nobody else.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        // SAFETY: `storage` holds an address of `length` bytes.
        if unsafe { libc::bind(fd, (&raw const storage).cast(), length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: plain call on a live descriptor.
        if unsafe { libc::listen(fd, 4096) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { inner: TcpListener::from(owned) })
    }

    /// The address as bound; a port 0 has become a real one.
    ///
    /// # Errors
    /// Only if the descriptor is broken.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Takes one waiting connection.
    #[must_use]
    pub fn accept(&self) -> Accepted {
        match self.inner.accept() {
            Ok((stream, peer)) => {
                let socket = Socket(OwnedFd::from(stream));
                let fd = socket.fd();
                // A socket that refuses these is closed by its first read or write.
                let _ = set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
                // SAFETY: plain call on a live descriptor.
                unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
                Accepted::Socket(socket, peer)
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => {
                    Accepted::Exhausted(error)
                }
                _ => Accepted::None,
            },
        }
    }

    /// The number by which the epoll set knows this listener.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

/// Fails with `AddrInUse` if another process listens on `address`: SO_REUSEPORT alone would share
/// it.
///
/// # Errors
/// What binding the address without sharing says.
pub fn probe_free(address: SocketAddr) -> io::Result<()> {
    let (family, storage, length) = raw_address(address);
    // SAFETY: plain call; checked below.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` is fresh and owned by nobody else.
    let _owned = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    // SAFETY: `storage` holds an address of `length` bytes.
    if unsafe { libc::bind(fd, (&raw const storage).cast(), length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option value is an `i32` that lives across the call.
    if unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn raw_address(address: SocketAddr) -> (i32, libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeros is a valid `sockaddr_storage`.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is larger than and aligned for every socket address.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            (libc::AF_INET, storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            (libc::AF_INET6, storage, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

/// What a descriptor in the set is ready for.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number given when it was added.
    pub key: u64,
    /// Data, a connection, the end of the stream or an error waits to be read.
    pub readable: bool,
    /// Room to write.
    pub writable: bool,
    /// Both directions are gone.
    pub broken: bool,
}

/// The descriptors of one shard.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

/// Whether to be told about readable and writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Only what arrives.
    Read,
    /// Only room to write (its input is not wanted now).
    Write,
    /// Both.
    Both,
    /// Neither; a broken connection is still told.
    None,
}

impl Epoll {
    /// An empty set that reports at most `events` descriptors a turn.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new(events: usize) -> io::Result<Self> {
        // SAFETY: plain call; checked below.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let empty = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: `fd` is fresh and owned by nobody else.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, events: vec![empty; events] })
    }

    /// Adds a descriptor.
    ///
    /// # Errors
    /// The watch limit of the user, or memory.
    pub fn add(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, key, interest)
    }

    /// Changes what is wanted of a descriptor.
    ///
    /// # Errors
    /// The descriptor is not in the set.
    pub fn change(&self, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, key, interest)
    }

    fn control(&self, op: i32, fd: RawFd, key: u64, interest: Interest) -> io::Result<()> {
        let events = match interest {
            Interest::Read => libc::EPOLLIN | libc::EPOLLRDHUP,
            Interest::Write => libc::EPOLLOUT,
            Interest::Both => libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLOUT,
            Interest::None => 0,
        };
        let mut event = libc::epoll_event { events: events as u32, u64: key };
        // SAFETY: `event` lives across the call.
        if unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), op, fd, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits at most `timeout` (`None`: not at all) and calls `each` for what is ready.
    pub fn wait(&mut self, timeout: Option<Duration>, mut each: impl FnMut(Ready)) -> usize {
        let count = match timeout {
            None | Some(Duration::ZERO) => self.wait_ms(0),
            Some(time) => self.wait_ms(time.as_millis().clamp(1, 60_000) as i32),
        };
        for event in &self.events[..count] {
            let bits = event.events as i32;
            let broken = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
            each(Ready {
                key: event.u64,
                readable: broken || bits & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0,
                writable: broken || bits & libc::EPOLLOUT != 0,
                broken,
            });
        }
        count
    }

    fn wait_ms(&mut self, timeout: i32) -> usize {
        let room = self.events.len() as i32;
        // SAFETY: the kernel writes at most `room` events into the live vector.
        let count = unsafe {
            libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), room, timeout)
        };
        count.max(0) as usize
    }

    /// The set as a descriptor, which is readable while anything in it is ready.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Wakes a shard out of its epoll set from another thread.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A silent bell.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain call; checked below.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is fresh and owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Rings; any number of rings before it is silenced are one.
    pub fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of a live integer.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Silences it.
    pub fn silence(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes of a live integer.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    /// The number by which the epoll set knows it.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

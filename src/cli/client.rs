//! A client of the published protocol of JSON streams, as `weir pub`, `sub`, `topics` and the demo
//! use it.
//!
//! One request is under way at a time, so the next frame that is neither greeting nor delivery is
//! its answer. Every error is a sentence that ends with its remedy.

use super::parse::Reach;
use super::table;
use crate::config::Config;
use crate::limits::RECORD_BYTES_MAX;
use crate::model::json;
use simd_json::BorrowedValue;
use simd_json::prelude::*;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{ClientRequestBuilder, Error, Message, Utf8Bytes, WebSocket};

/// For a connection and its handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the answer to a request: a disk may take its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// One frame of the server: the largest record and what stands around it.
const FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX + (64 << 10);

/// Where the server is and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `HOST:PORT`
    pub server: String,
    /// Bearer token.
    pub token: Option<String>,
}

/// A front-end that a client reaches: its key under `[listen]`, its address by default, and where a
/// configuration puts it.
type Front = (&'static str, &'static str, fn(&Config) -> Option<SocketAddr>);

impl Target {
    /// What the flags say of JSON streams; `token` is that of the environment.
    ///
    /// # Errors
    /// The configuration file is wrong, or turns the front-end off.
    pub fn new(reach: Reach, token: Option<String>) -> Result<Self, String> {
        let default = table::SERVER.default.unwrap_or_default();
        Self::of(reach, token, ("jsonjet", default, |config| config.listen.jsonjet))
    }

    /// What the flags say of RAW.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub fn raw(reach: Reach, token: Option<String>) -> Result<Self, String> {
        Self::of(reach, token, ("raw", "127.0.0.1:54321", |config| config.listen.raw))
    }

    /// What the flags say of metrics.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub fn nsdb(reach: Reach, token: Option<String>) -> Result<Self, String> {
        Self::of(reach, token, ("nsdb", "127.0.0.1:9000", |config| config.listen.nsdb))
    }

    fn of(reach: Reach, token: Option<String>, front: Front) -> Result<Self, String> {
        let (name, default, address) = front;
        let server = match (reach.server, &reach.config) {
            (Some(server), _) => server,
            (None, None) => default.to_owned(),
            (None, Some(path)) => {
                let config = crate::config::load(Some(path))
                    .map_err(|problems| format!("{}: {}", path.display(), problems[0]))?;
                address(&config)
                    .map(reachable)
                    .ok_or_else(|| {
                        let path = path.display();
                        format!("{path}: listen.{name} is \"off\"; give it an address")
                    })?
                    .to_string()
            }
        };
        Ok(Self { server, token: reach.token.or(token).filter(|token| !token.is_empty()) })
    }
}

/// Where a client on this machine finds the JSON streams of a server with this configuration.
#[must_use]
pub fn of_config(config: &Config) -> Option<SocketAddr> {
    config.listen.jsonjet.map(reachable)
}

/// An address that is bound to all interfaces, as a client on this machine writes it.
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

/// An open connection.
pub struct Client {
    socket: WebSocket<TcpStream>,
    server: String,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The server cannot be reached, speaks something else, or wants a token.
    pub fn connect(target: &Target) -> Result<Self, String> {
        Self::connect_to(target, "/ws")
    }

    /// As [`Client::connect`], to another path.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_to(target: &Target, path: &str) -> Result<Self, String> {
        let server = target.server.clone();
        let stream = open(&server).map_err(|error| {
            let why = reason(&error);
            format!(
                "cannot reach {server}: {why}; is `weir serve` running? --server sets the address"
            )
        })?;
        let uri = format!("ws://{server}{path}").parse().map_err(|_| {
            format!("{server} is not an address; --server takes HOST:PORT, such as 127.0.0.1:3333")
        })?;
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(token) = &target.token {
            request = request.with_header("Authorization", format!("Bearer {token}"));
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        match tungstenite::client::client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(Self { socket, server }),
            Err(error) => Err(refused(&server, &error)),
        }
    }

    /// The socket, to be shut down from another thread.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn stream(&self) -> io::Result<TcpStream> {
        self.socket.get_ref().try_clone()
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// The error text of the server, or what became of the connection.
    pub fn ask<T>(
        &mut self,
        request: String,
        read: impl FnOnce(&BorrowedValue<'_>) -> T,
    ) -> Result<T, String> {
        self.socket.send(Message::text(request)).map_err(|error| self.broken(&error))?;
        let _ = self.socket.get_ref().set_read_timeout(Some(ANSWER_TIMEOUT));
        loop {
            let mut bytes = self.receive()?.as_bytes().to_vec();
            let answer = simd_json::to_borrowed_value(&mut bytes).map_err(|error| {
                format!("{} does not send JSON: {error}; {SPEAKS}", self.server)
            })?;
            match answer.get_str("type") {
                Some("connected" | "data") => {}
                _ => match answer.get_str("error").or_else(|| error_message(&answer)) {
                    Some(error) => return Err(error.to_owned()),
                    None => return Ok(read(&answer)),
                },
            }
        }
    }

    /// Sends a request and gives its answer as it came, errors too; waits as long as it takes.
    ///
    /// # Errors
    /// What became of the connection.
    pub fn ask_text(&mut self, request: String) -> Result<String, String> {
        self.send(request)?;
        self.wait_for_ever();
        loop {
            let frame = self.receive()?;
            let is = |kind: &str| frame.starts_with(&format!("{{\"type\":\"{kind}\""));
            if !is("connected") && !is("data") {
                return Ok(frame.as_str().to_owned());
            }
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// What became of the connection.
    pub fn send(&mut self, request: String) -> Result<(), String> {
        self.socket.send(Message::text(request)).map_err(|error| self.broken(&error))
    }

    /// The next message of any kind.
    ///
    /// # Errors
    /// The connection broke.
    pub fn read(&mut self) -> Result<Message, String> {
        self.socket.read().map_err(|error| self.broken(&error))
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn execute<T>(
        &mut self,
        statement: &str,
        read: impl FnOnce(&BorrowedValue<'_>) -> T,
    ) -> Result<T, String> {
        self.ask(format!("{{\"type\":\"execute\",\"query\":{}}}", quoted(statement)), read)
    }

    /// Creates the stream if it is absent.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn create(&mut self, topic: &str, options: &str) -> Result<(), String> {
        self.execute(&format!("create if not exists stream {topic}{options}"), |_| ())
    }

    /// Inserts records, JSON texts separated by commas; all or none.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn insert(&mut self, topic: &str, records: &str) -> Result<u64, String> {
        let target = quoted(topic);
        let request = format!("{{\"type\":\"insert\",\"target\":{target},\"data\":[{records}]}}");
        self.ask(request, |answer| answer.get_u64("count").unwrap_or_default())
    }

    /// Waits as long as it takes in [`Client::receive`].
    pub fn wait_for_ever(&mut self) {
        let _ = self.socket.get_ref().set_read_timeout(None);
    }

    /// The next frame.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn receive(&mut self) -> Result<Utf8Bytes, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(text),
                Ok(Message::Close(frame)) => {
                    let why =
                        frame.map_or("no code".to_owned(), |f| format!("{} {}", f.code, f.reason));
                    return Err(format!(
                        "{} closed the connection: {}",
                        self.server,
                        why.trim_end()
                    ));
                }
                Ok(_) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// Says good-bye; nothing is waited for.
    pub fn close(&mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    fn broken(&self, error: &Error) -> String {
        let server = &self.server;
        match error {
            Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let seconds = ANSWER_TIMEOUT.as_secs();
                format!("{server} gave no answer for {seconds} s; its log says what it waits for")
            }
            Error::Io(error) => {
                let why = reason(error);
                format!("the connection to {server} broke: {why}; is `weir serve` still running?")
            }
            other => format!("the connection to {server} broke: {other}; {SPEAKS}"),
        }
    }
}

const SPEAKS: &str = "--server must name the address of JSON streams (listen.jsonjet)";

/// `text` as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    json::write_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn error_message<'a>(answer: &'a BorrowedValue<'_>) -> Option<&'a str> {
    (answer.get_str("type") == Some("error")).then(|| answer.get_str("message"))?
}

fn open(server: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in server.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The kind of an error where it has one: it reads better than a number.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        None => error.to_string(),
    }
}

fn refused<H: tungstenite::handshake::HandshakeRole>(
    server: &str,
    error: &HandshakeError<H>,
) -> String {
    match error {
        HandshakeError::Failure(Error::Http(answer)) if answer.status().as_u16() == 401 => {
            format!("{server} does not let us in; --token gives the token of a [[user]]")
        }
        HandshakeError::Failure(Error::Http(answer)) => {
            format!("{server} answered {}; {SPEAKS}", answer.status())
        }
        HandshakeError::Failure(Error::HttpFormat(_)) => {
            "the token has characters that no header can carry; check --token".to_owned()
        }
        HandshakeError::Failure(other) => {
            format!("{server} does not speak WebSocket: {other}; {SPEAKS}")
        }
        HandshakeError::Interrupted(_) => {
            format!("{server} does not answer; {SPEAKS}")
        }
    }
}

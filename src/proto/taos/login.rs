//! Who is connected, and how: the user, the session's database and zone, what the client says of
//! itself.

use super::access;
use super::codec::{Ask, Reply, texts};
use super::people;
use crate::config::User;
use crate::fanout::Outbox;
use crate::model::value::Value;
use crate::proto::Intake;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::Who;
use crate::query::tables::expr::bind::About;
use chrono_tz::Tz;
use std::net::IpAddr;
use std::sync::Arc;

/// How often it is asked whether a user is still there.
const WATCH_MS: u64 = 1000;
/// Characters that are kept of what a client says of itself.
const SHOWN_CHARS: usize = 128;

/// See the module's page.
#[derive(Clone, Debug)]
pub struct Login {
    /// `None` while no users are configured.
    pub user: Option<Arc<User>>,
    /// The session's.
    pub database: Option<String>,
    /// The session's.
    pub zone: Tz,
    /// The client.
    pub client: Client,
}

/// What a client says of itself, which is only shown.
#[derive(Clone, Debug, Default)]
pub struct Client {
    app: String,
    connector: String,
    address: String,
    /// It wants to know where else it could connect.
    list_instances: bool,
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

impl Client {
    /// As `conn` says it.
    ///
    /// # Errors
    /// An argument is no text.
    pub(super) fn of(ask: &Ask<'_>, peer: IpAddr) -> Result<Self, Wrong> {
        let (app, connector, ip) = (ask.text("app")?, ask.text("connector")?, ask.text("ip")?);
        let address = if ip.is_empty() { peer.to_canonical().to_string() } else { cut(&ip) };
        let list_instances = matches!(ask.arg("list_instances"), Value::Bool(true));
        Ok(Self { app: cut(&app), connector: cut(&connector), address, list_instances })
    }
}

/// A zone by its IANA name.
#[must_use]
pub fn parse_zone(text: &str) -> Option<Tz> {
    text.parse().ok()
}

/// The zone that a request names, else that of everybody.
///
/// # Errors
/// There is none of that name.
pub(super) fn zone_of(ask: &Ask<'_>) -> Result<Tz, Wrong> {
    match ask.text("tz")?.as_str() {
        "" => Ok(Tz::UTC),
        text => parse_zone(text)
            .ok_or_else(|| Wrong::new(0x0118, format!("Invalid parameters: tz {text}"))),
    }
}

/// Who signs in by a request; `token`: one of the handshake.
///
/// # Errors
/// Nobody.
pub(super) fn user_of(
    ask: &Ask<'_>,
    token: Option<&String>,
    peer: IpAddr,
    intake: &dyn Intake,
) -> Result<Option<Arc<User>>, Wrong> {
    let (user, password) = (ask.text("user")?, ask.text("password")?);
    let own = ask.text("bearer_token")?;
    let token = if own.is_empty() { token } else { Some(&own) };
    match token.filter(|_| user.is_empty()) {
        Some(token) => access::identify_token(token, peer, intake),
        None => access::identify(&user, &password, peer, intake),
    }
}

/// Adds `list_instances`, the only one there is.
pub(super) fn put_instances(reply: &mut Reply, intake: &dyn Intake) {
    let own = intake.config().listen.taos.map(|address| address.to_string());
    reply.raw("list_instances", &texts(own.as_deref()));
}

/// Who runs a statement.
#[must_use]
pub fn who(
    user: Option<&Arc<User>>,
    database: Option<String>,
    zone: Tz,
    intake: &dyn Intake,
) -> Who {
    let name = user.map_or_else(|| "root".to_owned(), |user| user.name.clone());
    let taos = &intake.config().taos;
    let about = About {
        database,
        version: taos.version.clone(),
        user: name,
        keeps_users: intake.access().is_open(),
        ..About::default()
    };
    Who { about, rights: access::rights(user, intake), zone, topics_max: taos.max_topics }
}

impl Login {
    /// Who runs a statement of this connection.
    #[must_use]
    pub fn who(&self, intake: &dyn Intake) -> Who {
        let mut who = who(self.user.as_ref(), self.database.clone(), self.zone, intake);
        let Client { app, connector, address, .. } = self.client.clone();
        who.about = About { app, connector, address, ..who.about };
        who
    }

    /// The reply to `conn`.
    #[must_use]
    pub fn greeting(&self, request: u64, timing: u64, intake: &dyn Intake) -> Vec<u8> {
        let mut reply = Reply::new("conn", request, None, timing);
        reply.text("version", &intake.config().taos.version);
        if self.client.list_instances {
            put_instances(&mut reply, intake);
        }
        reply.end()
    }

    /// Closes the connection of a user of the catalog who was dropped, or looks again later.
    pub(super) fn watch(&self, intake: &mut dyn Intake, out: &mut Outbox<'_>) {
        let Some(user) = self.user.as_ref().filter(|_| intake.access().is_open()) else { return };
        if people::is_gone(user, &intake.tables()) {
            out.close(1008, "the user was dropped");
        } else {
            intake.set_deadline(Some(WATCH_MS));
        }
    }

    /// `options_connection`: the zone has an effect, the others are shown.
    ///
    /// # Errors
    /// An option or a zone that is none.
    pub(super) fn set_options(&mut self, ask: &Ask<'_>) -> Result<(), Wrong> {
        let (mut zone, mut client) = (self.zone, self.client.clone());
        for option in ask.list("options")? {
            let wrong =
                |what: &str| Wrong::new(0x0118, format!("Invalid parameters: option {what}"));
            let Value::Int(number) = option.member("option") else { return Err(wrong("")) };
            let value = option.member("value");
            let text = match &value {
                Value::String(text) => cut(text),
                _ => String::new(),
            };
            match (number, &value) {
                (-1, _) => (zone, client) = (Tz::UTC, Client::default()),
                (1, Value::Missing | Value::Null) => zone = Tz::UTC,
                (1, Value::String(text)) => {
                    zone = parse_zone(text).ok_or_else(|| wrong(&format!("1 {}", &**text)))?;
                }
                (0, _) => {}
                (2, _) => client.address = text,
                (3, _) => client.app = text,
                (4, _) => client.connector = text,
                (other, _) => return Err(wrong(&other.to_string())),
            }
        }
        (self.zone, self.client) = (zone, client);
        Ok(())
    }
}

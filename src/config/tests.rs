//! Texts and their problems; the tables against `Config::default`, the contract and the shipped file.

use super::access::Secret;
use super::effective::{Config, Route};
use super::keys::{self, KEYS, ROUTE_KEYS, USER_KEYS};
use super::problem::nearest;
use super::{parse, render};
use std::net::SocketAddr;

/// A hash as `weir hash-password` prints it.
const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
    UCJOSaGNAVmFgVXfCpXQZu5mwjsBmrlcsH+nn2tfTHo";

fn problems(text: &str) -> Vec<String> {
    parse(text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn each_text_has_exactly_these_problems() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        ("shards = 2\n[mesh]\nnode = 0x3FF\n[listen]\nnsdb = \"off\"", &[]),
        (
            "[mesh]\nnode = 1024",
            &["2:8: mesh.node: 1024 is out of range; give a whole number from 0 to 1023"],
        ),
        (
            "[mesh]\nnode = -1\nidle_timeout_s = 1.5\nfull = \"wait\"",
            &[
                "2:8: mesh.node: -1 is out of range; give a whole number from 0 to 1023",
                "3:18: mesh.idle_timeout_s: is 1.5, a number with a fraction; give a whole number \
                 from 0 to 604800",
                "4:8: mesh.full: \"wait\" is not known; give \"block\" or \"error\"",
            ],
        ),
        (
            "[raw]\nrows_limit = 99999999999999999999",
            &["2:14: raw.rows_limit: 99999999999999999999 is out of range; give a whole number \
               from 1 on"],
        ),
        ("pin = 1", &["1:7: pin: is 1, a number; give true or false"]),
        ("data_dir = \"\"", &["1:12: data_dir: is empty; give a directory as a string"]),
        ("shard = 1", &["1:1: shard: unknown key; did you mean shards?"]),
        ("node = 1", &["1:1: node: unknown key; did you mean mesh.node?"]),
        (
            "[mesh]\nmax_topic = 1",
            &["2:1: mesh.max_topic: unknown key; did you mean mesh.max_topics?"],
        ),
        ("[mush]\nnode = 1", &["1:2: mush: unknown table; did you mean [mesh]?"]),
        ("[[users]]\nname = \"a\"", &["1:3: users: unknown table; did you mean [[user]]?"]),
        (
            "mesh = 1",
            &["1:1: mesh: must be a table; write [mesh] on a line of its own, and its keys \
                        below"],
        ),
        ("user = 1", &["1:1: user: must be an array of tables; write [[user]]"]),
        (
            "[listen]\nmesh = \"localhost\"",
            &["2:8: listen.mesh: \"localhost\" is not an address; give an address such as \
               \"127.0.0.1:3333\", or \"off\""],
        ),
        (
            "[listen]\nmesh = \"0.0.0.0:1\"\nusers = \"[::1]:2\"",
            &[
                "2:1: listen.mesh: 0.0.0.0:1 can be reached from outside, and there is no [[user]]; \
               add a [[user]], or set allow_open = true to let anybody do anything",
            ],
        ),
        ("allow_open = true\n[listen]\nmesh = \"0.0.0.0:1\"", &[]),
        ("[listen]\nmesh = \"0.0.0.0:1\"\n[[user]]\nname = \"a\"\ntoken = \"b\"", &[]),
        (
            "[listen]\nmesh = \"127.0.0.1:8400\"\nraw = \"[::]:8400\"\n[[user]]\nname = \"a\"\ntoken = \"b\"",
            &[
                "2:1: listen.mesh: 127.0.0.1:8400 is taken by listen.admin; give each front-end a \
                 port of its own",
                "3:1: listen.raw: [::]:8400 is taken by listen.mesh; give each front-end a port of \
                 its own",
            ],
        ),
        (
            "[[mesh.route]]\npath = \"chat\"\ntopic = \"a b\"\nevents = [\"open\"]",
            &[
                "2:8: mesh.route.path: \"chat\" is not a path; give a path such as \"/chat\", \
                 without query string",
                "3:9: mesh.route.topic: \"a b\" is not a topic name; give a topic name of at most \
                 255 bytes without white space, such as \"plant.s1\"",
                "4:10: mesh.route.events: \"open\" is not known; give an array of any of \
                 \"handshake\" or \"close\"",
            ],
        ),
        (
            "[[mesh.route]]\npath = \"/a\"\ntopic = \"a\"\n[[mesh.route]]\npath = \"/a\"\nwait = 1",
            &[
                "4:1: mesh.route.topic: missing; each route has a path and a topic",
                "4:1: mesh.route.path: \"/a\" is in two routes; a path leads to one topic",
                "6:1: mesh.route.wait: unknown key; did you mean mesh.route.path?",
            ],
        ),
        (
            "[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"\ntoken = \"b\"\nroles = [\"root\"]",
            &[
                "1:1: user.password: nothing to log in with; give one of password, password_hash, \
                 token, token_hash",
                "3:1: user.name: \"a\" is the name of two users; give each user a name of its own",
                "6:9: user.roles: \"root\" is not a role; give an array of any of \"read\" or \
                 \"write\" or \"admin\"",
            ],
        ),
        (
            "[[user]]\ntoken = \"a\"\ntoken_hash = \"b\"",
            &[
                "1:1: user.name: missing; each user has a name of its own",
                "1:1: user.token_hash: stands beside token; keep one of the two",
                "3:14: user.token_hash: does not parse (password hash string missing field); give \
                 an argon2id PHC string, made by `weir hash-password`",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(problems(text), *expected, "{text}");
    }
}

#[test]
fn text_that_is_not_toml_is_placed() {
    for (text, place) in
        [("a = ", "1:"), ("x = 1\nx = 2", "2:"), ("[mesh", "1:"), ("é = \u{1}", "1:")]
    {
        let found = problems(text);
        assert!(!found.is_empty() && found[0].starts_with(place), "{text}: {found:?}");
    }
}

#[test]
fn routes_and_users_are_taken() {
    let text = format!(
        "[[mesh.route]]\npath = \"/p\"\ntopic = \"plant.s1\"\nevents = [\"close\"]\n\
         wait_context = \"uid\"\nanswer_text_ping = true\n\
         [[user]]\nname = \"a\"\npassword_hash = \"{PHC}\"\nroles = [\"write\", \"admin\"]\n"
    );
    let config = parse(&text).unwrap();
    let expected = Route {
        close_events: true,
        wait_context: Some("uid".into()),
        answer_text_ping: true,
        ..Route::plain("/p", "plant.s1")
    };
    assert_eq!(config.mesh.routes, [expected]);
    assert_eq!(config.users[0].password, Some(Secret::Hash(PHC.into())));
    assert_eq!((config.users[0].roles.len(), &config.users[0].hosts[0][..]), (2, "*"));
    assert_eq!(parse(&render::effective(&config)).unwrap(), config);
    let shown = parse("[[user]]\nname = \"a\"\ntoken = \"hidden\"").unwrap();
    assert!(!render::effective(&shown).contains("hidden"));
}

#[test]
fn the_table_and_the_default_configuration_are_equal() {
    let mut config = Config::default();
    for key in KEYS {
        let printed = (key.slot)(&mut config).print().unwrap_or_default();
        assert_eq!(printed, key.default, "{}", key.path());
    }
    let mut user = keys::blank_user();
    for key in USER_KEYS.iter().filter(|key| key.default != "") {
        assert_eq!((key.slot)(&mut user).print().unwrap(), key.default, "{}", key.path());
    }
    for key in ROUTE_KEYS {
        let printed = (key.slot)(&mut config.mesh.routes[0]).print().unwrap_or_default();
        assert_eq!(printed, key.default, "{}", key.path());
    }
    assert_eq!(parse(&render::effective(&Config::default())).unwrap(), Config::default());
}

#[test]
fn the_default_file_says_the_defaults() {
    let text = render::defaults();
    assert_eq!(parse(&text).unwrap(), Config::default());
    // A line that begins with # and a letter is a key; without its # it still says the default.
    let (keys, _) = text.split_once("#[[user]]").unwrap();
    let mut live = String::new();
    for line in keys.lines().filter(|line| !line.starts_with("# ") && !line.ends_with("\"...\"")) {
        live.push_str(line.trim_start_matches('#'));
        live.push('\n');
    }
    assert_eq!(parse(&live).unwrap(), Config::default());
    assert_eq!(text.lines().find(|line| line.len() > 100), None);
}

#[test]
fn the_shipped_file_is_the_printed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/weir.toml");
    let shipped = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(shipped, render::defaults(), "run: weir check --defaults > systemd/weir.toml");
}

#[test]
fn every_key_of_the_contract_is_known() {
    let contract = "data_dir files_dir shards durability allow_open listen.jsonjet listen.mesh \
        listen.users listen.nsdb listen.taos listen.raw listen.admin mesh.node mesh.topic_size \
        mesh.max_topics mesh.full mesh.idle_timeout_s mesh.ack_timeout_s mesh.user_message_bytes \
        mesh.api_message_bytes mesh.route.path mesh.route.topic mesh.route.events \
        mesh.route.wait_context mesh.route.answer_text_ping nsdb.refresh_period_ms \
        nsdb.retention_size nsdb.aggregate_interval_ms taos.version taos.max_topics \
        raw.idle_timeout_s raw.run_limit_s raw.rows_limit raw.query_bytes raw.sort_bytes \
        raw.queries retention.records retention.bytes retention.age_s retention.on_full \
        limits.message_bytes limits.outbox_bytes limits.outbox_full debug.echo user.name \
        user.password user.password_hash user.token user.token_hash user.roles user.topics \
        user.hosts";
    let known = keys::all_paths();
    for path in contract.split_whitespace() {
        assert!(known.iter().any(|one| one == path), "{path}");
    }
}

#[test]
fn the_nearest_key_is_in_the_same_table_first() {
    let known = keys::all_paths();
    for (given, meant) in [
        ("durabilty", "durability"),
        ("listen.jsonjett", "listen.jsonjet"),
        ("limits.api_message_bytes", "mesh.api_message_bytes"),
        ("raw.idle_timeout", "raw.idle_timeout_s"),
        ("user.passwd", "user.password"),
        ("listen.topics", "user.topics"),
    ] {
        assert_eq!(nearest(given, known.iter().map(String::as_str)), Some(meant), "{given}");
    }
}

#[test]
fn addresses_may_share_what_is_not_a_port() {
    let config = parse("[listen]\nmesh = \"127.0.0.1:0\"\nraw = \"127.0.0.1:0\"").unwrap();
    assert_eq!(config.listen.mesh, Some(SocketAddr::from(([127, 0, 0, 1], 0))));
}

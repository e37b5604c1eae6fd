//! Where the log goes: text on standard error, or fields to the journal under systemd.
//!
//! Never payloads: what is logged is said by the callers in names, counts and addresses.

use crate::sys::notify::under_journal;
use std::io::IsTerminal;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The variable that sets the level.
const VARIABLE: &str = "WEIR_LOG";

/// Starts logging for this process; a second call changes nothing.
pub fn start() {
    let given = std::env::var(VARIABLE).ok();
    let level = level(given.as_deref());
    let filter = filter(level.unwrap_or(Level::INFO));
    let journal = under_journal().then(tracing_journald::layer).and_then(Result::ok);
    let text = journal.is_none().then(|| {
        fmt::layer()
            .compact()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
    });
    let layers = journal.map(Layer::boxed).into_iter().chain(text.map(Layer::boxed));
    let layers: Vec<_> = layers.collect();
    let _ = tracing_subscriber::registry().with(layers.with_filter(filter)).try_init();
    if level.is_none() {
        let given = given.unwrap_or_default();
        tracing::warn!(target: "weir", given, "{VARIABLE}: not error, warn, info, debug; info holds");
    }
}

/// The level of this text, info without any; `None`: it is no level.
fn level(text: Option<&str>) -> Option<Level> {
    match text {
        None | Some("" | "info") => Some(Level::INFO),
        Some("error") => Some(Level::ERROR),
        Some("warn") => Some(Level::WARN),
        Some("debug") => Some(Level::DEBUG),
        Some(_) => None,
    }
}

/// `weir` at its level, all else at warn or less.
fn filter(level: Level) -> Targets {
    let others = LevelFilter::from_level(level).min(LevelFilter::WARN);
    Targets::new().with_default(others).with_target("weir", level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets() {
        assert_eq!(level(None), Some(Level::INFO));
        assert_eq!(level(Some("debug")), Some(Level::DEBUG));
        assert_eq!(level(Some("loud")), None);
        for (set, target, asked, shown) in [
            (Level::INFO, "weir::shard", Level::INFO, true),
            (Level::INFO, "weir::shard", Level::DEBUG, false),
            (Level::DEBUG, "weir", Level::DEBUG, true),
            (Level::DEBUG, "glommio", Level::INFO, false),
            (Level::INFO, "glommio", Level::WARN, true),
            (Level::ERROR, "glommio", Level::WARN, false),
        ] {
            assert_eq!(filter(set).would_enable(target, &asked), shown, "{set} {target} {asked}");
        }
    }
}

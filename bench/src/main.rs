//! Load generator: drives one server with one shape of load and prints one line of JSON.
//!
//! One thread, pinned and spinning, so that it never sleeps when the server has something for it. It costs
//! about 10 ns for a delivery of 64 bytes (one pass over frame headers, payloads are skipped) and the copy
//! out of the socket; messages are encoded once, before the clock starts, and sent as slices of one ring.
//!
//! `weir-bench COMMAND key=value ...`; `bench/run` knows which. Commands: `fanout` (closed loop with a
//! window, or open loop with a rate), `ingest`, `idle`, `fill`, `floor`, `start`.

mod args;
mod fanout;
mod floor;
mod idle;
mod ingest;
mod line;
mod net;
mod proc;
mod proto;
mod start;
mod walk;
mod ws;

use args::Args;

type Result<T> = std::result::Result<T, String>;

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let done = Args::parse(words).and_then(|args| {
        if let Some(core) = args.optional("core")? {
            proc::pin(core)?;
        }
        run(&command, &args)
    });
    match done {
        Ok(line) => println!("{line}"),
        Err(text) => {
            eprintln!("weir-bench {command}: {text}");
            std::process::exit(1);
        }
    }
}

fn run(command: &str, args: &Args) -> Result<String> {
    match command {
        "fanout" => fanout::run(args),
        "ingest" => ingest::run(args),
        "fill" => ingest::fill(args),
        "idle" => idle::run(args),
        "floor" => floor::run(args),
        "start" => start::run(args),
        _ => Err("commands: fanout ingest fill idle floor start".into()),
    }
}

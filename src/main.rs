//! The `weir` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weir::sys::ring::register_barrier();
    let arguments: Vec<String> = std::env::args().collect();
    let path = arguments.iter().position(|a| a == "--config").and_then(|i| arguments.get(i + 1));
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match weir::config::load(path.map(std::path::Path::new)) {
        Ok(config) => weir::boot::serve(config, |_| {}),
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem:?}");
            }
            ExitCode::from(2)
        }
    }
}

//! The `weir` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;
use weir::cli::Entry;
use weir::{boot, cli};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main(&Entry { serve: boot::serve, inspect: boot::inspect::run })
}

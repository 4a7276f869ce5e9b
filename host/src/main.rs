//! The `thrall` program. Everything is in the library; here is only the way
//! from the process to it.

use std::process::ExitCode;

/// An event makes some hundred small values, on several threads; the system's
/// allocator took a seventh of an event's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    thrall::cli::main()
}

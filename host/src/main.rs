//! The `thrall` program. Everything is in the library; here is only the way
//! from the process to it.

use std::process::ExitCode;

fn main() -> ExitCode {
    thrall::cli::main()
}

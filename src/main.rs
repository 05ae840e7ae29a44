//! The `seawall` program: everything it does is in the library.

fn main() -> std::process::ExitCode {
    seawall::cli::run(std::env::args_os().collect())
}

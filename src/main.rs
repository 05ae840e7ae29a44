//! The `seawall` program. Its commands come with the rooms they need.

fn main() -> std::process::ExitCode {
    eprintln!("seawall: this build has no commands yet");
    std::process::ExitCode::FAILURE
}

//! The `forecourt` binary; everything is in the library.

fn main() -> std::process::ExitCode {
    forecourt::cli::main()
}

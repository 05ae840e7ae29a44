//! What is logged, and how it is written. Nothing is logged here.

use env_filter::Filter;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Levels by module, as [`filter`] reads them.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `Journald` where stderr is connected to the journal, else `Text`.
    Auto,
    /// A line for people, with the time.
    Text,
    /// An object on each line.
    Json,
    /// A line with its priority in front and without the time, as sd-daemon(3) has it.
    Journald,
}

/// A filter like `info,seawall::registry=debug`: a level for all modules, levels for some, and behind a `/` a regular
/// expression that messages must match.
///
/// # Errors
/// What is wrong with it.
pub fn filter(text: &str) -> Result<Filter, String> {
    let wrong = |error| format!("expected levels like \"info,seawall::registry=debug\": {error}");
    let mut builder = env_filter::Builder::new();
    builder.try_parse(text).map_err(wrong)?;
    Ok(builder.build())
}

//! Writing to stdout: whole lines and pieces, flushed at once. What agents and people wrote is shown as text here and
//! can never steer the terminal.

use serde::Serialize;
use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// So long a person waits for an answer without wondering.
const SILENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    /// A person reads this.
    pub(super) terminal: bool,
    pub(super) color: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        // https://no-color.org: set and not empty.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, terminal, color: terminal && !plain }
    }

    /// Writes text as it is; it must be clean already.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        self.write_bytes(text.as_bytes())
    }

    pub(super) fn write_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// One line of whatever text.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        self.write(&format!("{}\n", clean(text)))
    }

    /// One object, one line.
    pub(super) fn object(&self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.write_bytes(&line)
    }

    /// Waits for a call that is tried again and again, and says so where that takes its time.
    pub(super) async fn patiently<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = std::pin::pin!(call);
        if let Ok(answer) = tokio::time::timeout(SILENCE, &mut call).await {
            return answer;
        }
        self.remark(
            "seawall: no answer yet; trying again for up to a minute, nothing is done twice",
        );
        call.await
    }

    /// Something beside the output, for a person only.
    pub(super) fn remark(&self, text: &str) {
        // A remark that cannot be shown is no reason to fail.
        let _ = writeln!(io::stderr(), "{}", clean(text));
    }
}

/// Text without what a terminal takes as a command: control characters become pictures of themselves. Line ends and
/// tabs stay; a carriage return before a line end goes.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    Cow::Owned(
        text.chars().map(|char| if is_command(char) { picture(char) } else { char }).collect(),
    )
}

/// Controls, and the marks that let text run the other way and so show other words than it has.
fn is_command(char: char) -> bool {
    (char.is_control() && !matches!(char, '\n' | '\t'))
        || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn picture(char: char) -> char {
    match char {
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(char)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        _ => '\u{fffd}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(clean("\x1b]52;c;AA\x07ä\tb\r\nc\rd\u{9b}1m"), "␛]52;c;AA␇ä\tb\nc␍d\u{fffd}1m");
        assert_eq!(clean("a\u{202e}b"), "a\u{fffd}b");
        assert!(matches!(clean("plain\n"), Cow::Borrowed(_)));
    }
}

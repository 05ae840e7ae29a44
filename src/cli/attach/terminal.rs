//! The terminal of an attached person: its settings while it is ours, its size, and what is typed, as bytes. What the
//! bytes mean and what is shown is decided elsewhere.

use super::{
    editor::{Editor, Wish},
    keys::{Decoder, MARK_PASTES, UNMARK_PASTES},
    screen::{Line, Screen},
};
use crate::cli::output::Output;
use rustix::termios::{self, OptionalActions, Termios};
use std::io::{self, IsTerminal, Read};
use tokio::sync::mpsc;

/// Reads of stdin that wait to be taken.
const READS: usize = 16;

/// Whether a person sits at both ends.
pub(super) fn is_there(output: &Output) -> bool {
    io::stdin().is_terminal() && output.terminal && !output.json
}

/// A terminal that tells every key and shows nothing by itself. Dropped, it is as it was.
pub(super) struct Terminal {
    output: Output,
    before: Termios,
    screen: Screen,
    editor: Editor,
    keys: Decoder,
    prompt: String,
}

impl Terminal {
    pub(super) fn open(output: Output) -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        let (columns, rows) = size();
        let terminal = Self {
            output,
            before,
            screen: Screen::new(columns, rows),
            editor: Editor::default(),
            keys: Decoder::default(),
            prompt: String::new(),
        };
        output.write(MARK_PASTES)?;
        Ok(terminal)
    }

    pub(super) fn print(&mut self, text: &str) -> io::Result<()> {
        let line = line(&self.prompt, &self.editor);
        let text = self.screen.print(text, line);
        self.output.write(&text)
    }

    pub(super) fn set_prompt(&mut self, prompt: String) -> io::Result<()> {
        if prompt == self.prompt {
            return Ok(());
        }
        self.prompt = prompt;
        self.repaint()
    }

    /// What keys ask for. Changes of the line are shown already.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> io::Result<Vec<Wish>> {
        let mut wishes = Vec::new();
        for key in self.keys.feed(bytes) {
            match self.editor.press(key) {
                Some(Wish::Redraw) => {
                    let line = line(&self.prompt, &self.editor);
                    let text = self.screen.redraw(line);
                    self.output.write(&text)?;
                }
                Some(wish) => wishes.push(wish),
                None => {}
            }
        }
        self.repaint()?;
        Ok(wishes)
    }

    pub(super) fn resized(&mut self) -> io::Result<()> {
        let (columns, rows) = size();
        self.screen.resize(columns, rows);
        self.repaint()
    }

    fn repaint(&mut self) -> io::Result<()> {
        let line = line(&self.prompt, &self.editor);
        let text = self.screen.repaint(line);
        self.output.write(&text)
    }
}

fn line<'a>(prompt: &'a str, editor: &'a Editor) -> Line<'a> {
    Line { prompt, text: editor.text(), cursor: editor.cursor() }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whoever took the terminal away needs neither.
        let _ = self.output.write(&(self.screen.close() + UNMARK_PASTES));
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// Columns and rows; what nobody knows is taken for the usual.
fn size() -> (usize, usize) {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// What is read from stdin, by a thread of its own: a read cannot be called off, and leaving must not wait for one.
pub(super) fn stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, reads) = mpsc::channel(READS);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut buffer = [0; 4096];
        loop {
            let read = match stdin.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            if read == 0 || sender.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    reads
}

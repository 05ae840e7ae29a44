//! Text for a terminal, piece by piece: cleaned, coloured where colours are wanted, and always aware whether a line
//! is still open. Writes to nothing.

use crate::cli::output::clean;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// Beside the matter: thoughts, tools, states.
    Dim,
    /// Someone has to look at it.
    Bold,
    /// Something went wrong.
    Red,
}

/// What is to be written next.
#[derive(Debug)]
pub(super) struct Page {
    color: bool,
    text: String,
    /// The last thing written was not the end of a line; this outlives the page's text.
    open: bool,
}

impl Page {
    pub(super) fn new(color: bool) -> Self {
        Self { color, text: String::new(), open: false }
    }

    /// Adds text to the open line.
    pub(super) fn put(&mut self, style: Style, text: &str) {
        let text = clean(text);
        let Some(last) = text.chars().last() else {
            return;
        };
        let code = match style {
            Style::Dim => "\x1b[2m",
            Style::Bold => "\x1b[1m",
            Style::Red => "\x1b[31m",
            Style::Plain => "",
        };
        if self.color && !code.is_empty() {
            self.text.extend([code, &text, "\x1b[0m"]);
        } else {
            self.text.push_str(&text);
        }
        self.open = last != '\n';
    }

    /// Adds a line of its own.
    pub(super) fn line(&mut self, style: Style, text: &str) {
        self.end_line();
        self.put(style, text);
        self.end_line();
    }

    pub(super) fn end_line(&mut self) {
        if std::mem::take(&mut self.open) {
            self.text.push('\n');
        }
    }

    /// A person has ended the line by typing.
    pub(super) fn line_was_ended(&mut self) {
        self.open = false;
    }

    /// Takes what is to be written.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_its_own_ends_the_open_one_even_if_that_was_taken() {
        let mut page = Page::new(false);
        page.put(Style::Plain, "hel");
        assert_eq!(page.take(), "hel");
        page.line(Style::Dim, "tool");
        page.line(Style::Dim, "tool");
        assert_eq!(page.take(), "\ntool\ntool\n");
    }

    #[test]
    fn colours_are_ours_and_those_of_others_are_pictures() {
        let mut page = Page::new(true);
        page.line(Style::Red, "\x1b[2J");
        assert_eq!(page.take(), "\x1b[31m␛[2J\x1b[0m\n");
    }
}

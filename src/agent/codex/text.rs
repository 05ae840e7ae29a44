//! What the agent says and thinks, of which Codex tells pieces and then the whole: each piece is passed on once.

use crate::agent::{AgentEvent, Output};
use std::collections::HashMap;

/// More texts than this at a time no agent says; what was said of them is forgotten then.
const OPEN_TEXTS_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Message,
    Thought,
}

impl Voice {
    fn event(self, delta: String) -> AgentEvent {
        match self {
            Voice::Message => AgentEvent::Message { delta },
            Voice::Thought => AgentEvent::Thought { delta },
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Texts {
    /// How much of an item was said.
    said: HashMap<String, usize>,
    /// Where the last word was said, if nothing else was shown since.
    last: Option<(Voice, String)>,
}

impl Texts {
    pub(super) fn say(&mut self, item: &str, voice: Voice, text: &str, out: &mut Output) {
        if text.is_empty() {
            return;
        }
        if self.said.len() >= OPEN_TEXTS_MAX && !self.said.contains_key(item) {
            self.said.clear();
        }
        *self.said.entry(item.to_owned()).or_default() += text.len();
        // Two messages in a row would run into one paragraph.
        let runs_on = self.last.as_ref().is_some_and(|(last, of)| *last == voice && of != item);
        let delta = if runs_on { format!("\n\n{text}") } else { text.to_owned() };
        if self.last.as_ref().is_none_or(|(last, of)| *last != voice || of != item) {
            self.last = Some((voice, item.to_owned()));
        }
        out.events.push(voice.event(delta));
    }

    /// A new paragraph within an item that has said something.
    pub(super) fn paragraph(&mut self, item: &str, voice: Voice, out: &mut Output) {
        if self.said.get(item).is_some_and(|said| *said > 0) {
            out.events.push(voice.event("\n\n".to_owned()));
        }
    }

    /// The whole text of an item, which is said now if no piece of it was. How much was.
    pub(super) fn finish(
        &mut self,
        item: &str,
        voice: Voice,
        whole: &str,
        out: &mut Output,
    ) -> usize {
        if !self.said.contains_key(item) {
            self.say(item, voice, whole, out);
        }
        self.said.remove(item).unwrap_or(0)
    }

    /// Something that is no text was shown.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }
}

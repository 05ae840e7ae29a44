//! The message of one `seawall send`, kept in a file so that the command can be run again after whatever happened to
//! it. It keeps and compares; it sends nothing.

use crate::{
    cli::failure::Usage,
    client::{Entry, StateFile},
    domain::SessionId,
    wire::api::SendMessage,
};
use std::path::Path;

pub(super) struct Kept(Option<StateFile>);

impl Kept {
    /// Without a path nothing is kept.
    pub(super) fn open(path: Option<&Path>, session: SessionId) -> anyhow::Result<Self> {
        Ok(Self(path.map(|path| StateFile::open(path, session)).transpose()?))
    }

    /// What an earlier run did not finish.
    pub(super) fn unfinished(&self) -> Option<&SendMessage> {
        let entry = self.0.as_ref()?.entries().first()?;
        Some(&entry.message)
    }

    /// The message to send: `asked`, once it is on disk, or the one that is there already if it is the same.
    pub(super) fn keep(
        &mut self,
        asked: SendMessage,
        has_own_id: bool,
    ) -> anyhow::Result<SendMessage> {
        if let Some(message) = self.unfinished() {
            let same_id = !has_own_id || message.message_id == asked.message_id;
            let same =
                same_id && (&message.text, message.interrupt) == (&asked.text, asked.interrupt);
            if same {
                return Ok(message.clone());
            }
            let path = self.0.as_ref().map(StateFile::path).unwrap_or(Path::new(""));
            return Err(Usage(format!(
                "{} holds another message that is not finished; finish it without TEXT, or remove the file",
                path.display()
            ))
            .into());
        }
        if let Some(file) = &mut self.0 {
            file.save(vec![Entry::pending(asked.clone())])?;
        }
        Ok(asked)
    }

    /// What became of the message where sending it failed for now.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match &self.0 {
            Some(file) => error.context(format!(
                "not sent; it is kept in {}, and the same command sends it",
                file.path().display()
            )),
            None => error,
        }
    }

    /// Nothing is left to do about the message.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        match &mut self.0 {
            Some(file) => Ok(file.save(Vec::new())?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::new::message;

    fn session() -> SessionId {
        SessionId::from_uuid(uuid::Uuid::from_u128(1))
    }

    #[test]
    fn the_same_command_again_has_the_same_id_until_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        let open = || Kept::open(Some(&path), session()).unwrap();
        let first = open().keep(message("hi".into(), None), false).unwrap();
        let again = open().keep(message("hi".into(), None), false).unwrap();
        assert_eq!(first.message_id, again.message_id);
        open().finish().unwrap();
        let next = open().keep(message("hi".into(), None), false).unwrap();
        assert_ne!(first.message_id, next.message_id);
    }

    #[test]
    fn another_message_does_not_take_the_place_of_one_that_is_not_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.json");
        let mut kept = Kept::open(Some(&path), session()).unwrap();
        kept.keep(message("hi".into(), None), false).unwrap();
        let error = kept.keep(message("ho".into(), None), false).unwrap_err();
        assert!(error.to_string().contains("holds another message"), "{error}");
        let other_id = message("hi".into(), Some("mine".parse().unwrap()));
        assert!(kept.keep(other_id, true).is_err());
        assert_eq!(kept.unfinished().unwrap().text.as_deref(), Some("hi"));
    }
}

//! Short session ids: the first characters that only one session has. Asks the server which there are, and never
//! guesses between two.

use super::failure::{Unsuccessful, Usage};
use crate::{
    client::{Client, ClientError, SessionFilter},
    domain::SessionId,
};

/// How many ids to name where a prefix fits several.
const NAMED: usize = 8;
/// Pages of 200 to look through; beyond that the prefix says too little.
const PAGES: usize = 50;
/// The shortest abbreviation that is shown.
const SHOWN: usize = 8;
const FULL: usize = 36;

/// The session that `text` means: a whole id, without asking, or a prefix of one.
pub(super) async fn find(client: &Client, text: &str) -> anyhow::Result<SessionId> {
    let list = async |filter: &SessionFilter| {
        let page = client.sessions(filter).await?;
        Ok((page.sessions.into_iter().map(|session| session.id).collect(), page.next_cursor))
    };
    find_in(list, text).await
}

/// As [`find`], among the ids that `list` gives page by page.
pub(super) async fn find_in(
    list: impl AsyncFn(&SessionFilter) -> Result<(Vec<SessionId>, Option<String>), ClientError>,
    text: &str,
) -> anyhow::Result<SessionId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let prefix = text.to_ascii_lowercase();
    if !is_prefix(&prefix) {
        return Err(Usage(format!("`{text}` is not a session id; `seawall ls` lists them")).into());
    }
    let mut filter =
        SessionFilter { text: Some(prefix.clone()), limit: Some(200), ..Default::default() };
    let mut fitting = Vec::new();
    for _ in 0..PAGES {
        let (ids, next_cursor) = list(&filter).await?;
        // The server searches titles and folders too.
        fitting.extend(ids.into_iter().filter(|id| id.to_string().starts_with(&prefix)));
        filter.cursor = next_cursor;
        if filter.cursor.is_none() || fitting.len() > NAMED {
            return pick(text, &fitting);
        }
    }
    Err(Usage(format!("too many sessions match `{text}`; give more characters of the id")).into())
}

fn is_prefix(text: &str) -> bool {
    let hex = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    !text.is_empty() && text.len() <= FULL && text.bytes().all(hex)
}

fn pick(text: &str, fitting: &[SessionId]) -> anyhow::Result<SessionId> {
    match fitting {
        [] => {
            Err(Unsuccessful(format!("there is no session `{text}`; `seawall ls` lists them"))
                .into())
        }
        [id] => Ok(*id),
        several => {
            let mut names: Vec<_> = several.iter().take(NAMED).map(ToString::to_string).collect();
            if several.len() > NAMED {
                names.push("and more".into());
            }
            let names = names.join(", ");
            Err(Usage(format!("`{text}` fits several sessions: {names}; give more characters"))
                .into())
        }
    }
}

/// How many characters tell all of these apart, at least eight.
pub(super) fn abbreviation(ids: &[SessionId]) -> usize {
    let mut texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
    texts.sort_unstable();
    texts.dedup();
    let shared =
        |pair: &[String]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    let longest = texts.windows(2).map(shared).max();
    longest.map_or(SHOWN, |shared| SHOWN.max(shared + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(texts: &[&str]) -> Vec<SessionId> {
        let id = |text: &&str| format!("{text}-0000-0000-0000-000000000000").parse().unwrap();
        texts.iter().map(id).collect()
    }

    #[test]
    fn a_prefix_of_one_session_means_it() {
        let ids = ids(&["aabbccdd"]);
        assert_eq!(pick("aa", &ids).unwrap(), ids[0]);
    }

    #[test]
    fn a_prefix_of_two_sessions_names_both() {
        let error = pick("aa", &ids(&["aabbccdd", "aabbccde"])).unwrap_err();
        assert!(error.downcast_ref::<Usage>().is_some());
        let text = error.to_string();
        assert!(text.contains("aabbccdd-") && text.contains("aabbccde-"), "{text}");
    }

    #[test]
    fn a_prefix_of_no_session_is_a_no_of_the_server() {
        assert!(pick("aa", &[]).unwrap_err().downcast_ref::<Unsuccessful>().is_some());
    }

    #[test]
    fn only_what_can_begin_an_id_is_looked_for() {
        for (text, good) in
            [("0", true), ("0198c2f4-", true), ("", false), ("demo", false), ("%", false)]
        {
            assert_eq!(is_prefix(text), good, "{text}");
        }
    }

    #[test]
    fn abbreviations_tell_all_apart() {
        assert_eq!(abbreviation(&ids(&["aabbccdd"])), 8);
        assert_eq!(abbreviation(&ids(&["aabbccdd", "aabbccde", "11111111"])), 8);
        let near: Vec<SessionId> =
            [1u128, 2].map(|n| SessionId::from_uuid(uuid::Uuid::from_u128(n))).into();
        assert_eq!(abbreviation(&near), 36);
    }
}

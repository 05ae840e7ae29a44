//! How a permission or a question was settled, from the log: asked only when somebody answers too late.

use super::Refusal;
use crate::{
    domain::{Body, Draft, Seq, SessionId},
    store::{EventLog, PageFrom, PageQuery},
};

/// How many resolutions one read looks through.
const PAGE: usize = 1000;
const PAGE_BYTES: usize = 4 << 20;

pub(super) async fn find(
    log: &dyn EventLog,
    session: SessionId,
    id: &str,
    is_permission: bool,
) -> Refusal {
    let (kind, event) = match is_permission {
        true => ("permission", "permission.resolved"),
        false => ("question", "question.resolved"),
    };
    let mut from = PageFrom::Newest;
    loop {
        let query = PageQuery {
            session,
            from,
            limit: PAGE,
            max_bytes: PAGE_BYTES,
            types: vec![event.into()],
        };
        let page = match log.page(query).await {
            Ok(page) => page,
            Err(error) => return error.into(),
        };
        let resolution = page.lines.iter().rev().find_map(|line| {
            match serde_json::from_slice::<Draft>(&line.bytes).ok()?.body {
                Body::PermissionResolved { permission_id, outcome, by }
                    if is_permission && permission_id == id =>
                {
                    Some((outcome, by))
                }
                Body::QuestionResolved { question_id, outcome, by }
                    if !is_permission && question_id == id =>
                {
                    Some((outcome, by))
                }
                _ => None,
            }
        });
        if let Some((resolution, by)) = resolution {
            return Refusal::RequestClosed { resolution, by };
        }
        match page.lines.first() {
            Some(oldest) if page.has_more && oldest.seq > Seq::ZERO => {
                from = PageFrom::Before(oldest.seq);
            }
            _ => return Refusal::UnknownRequest(kind),
        }
    }
}

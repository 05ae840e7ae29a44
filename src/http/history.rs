//! A session's events, page by page, as the very bytes that were stored. Live events are `stream`'s.

use super::{
    App,
    auth::Viewer,
    error::Failure,
    openapi::{Guarded, InSession, Present, WithQuery},
    query,
    target::On,
};
use crate::{
    domain::Seq,
    store::{Page, PageFrom, PageQuery},
    wire::api::EventPage,
};
use actix_web::{HttpRequest, HttpResponse, http::header::ContentType, web::Data};
use serde::Deserialize;
use std::io::Write;

const PAGE: usize = 200;
const PAGE_MAX: usize = 1000;
const PAGE_BYTES_MAX: usize = 4 << 20;
const TYPES_MAX: usize = 64;

/// A page of a session's events, ascending; without `after` and `before` the newest page
#[utoipa::path(get, path = "/v1/sessions/{id}/events", tag = "sessions", params(InSession, HistoryQuery),
    responses((status = 200, description = "A page of events; it ends early at 4 MiB", body = EventPage),
        Guarded, Present, WithQuery))]
pub(super) async fn events(
    on: On<Viewer>,
    app: Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let query = match query::read(&request).and_then(|query: HistoryQuery| query.page(on.id)) {
        Ok(query) => query,
        Err(fault) => return Err(on.refusal(&app, fault).await),
    };
    let page = app.log.page(query).await?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(encode(&page)))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Events after this seq.
    #[param(format = "uint64", maximum = 18_446_744_073_709_551_615_u64)]
    after: Option<u64>,
    /// The last events before this seq. Not together with `after`.
    #[param(format = "uint64", maximum = 18_446_744_073_709_551_615_u64)]
    before: Option<u64>,
    #[param(minimum = 1, maximum = 1000, default = 200)]
    limit: Option<u64>,
    /// Only events of these types, 1 to 64 with commas between.
    #[param(pattern = "^[^,]+(,[^,]+){0,63}$")]
    pub(super) types: Option<String>,
}

impl HistoryQuery {
    fn page(self, session: crate::domain::SessionId) -> Result<PageQuery, Failure> {
        let from = match (self.after, self.before) {
            (Some(_), Some(_)) => {
                return Err(Failure::invalid_query("before: must not stand beside `after`"));
            }
            (Some(seq), None) => PageFrom::After(Seq(seq)),
            (None, Some(seq)) => PageFrom::Before(Seq(seq)),
            (None, None) => PageFrom::Newest,
        };
        let types: Vec<String> = match self.types.as_deref() {
            None => Vec::new(),
            Some(types) => types.split(',').map(str::to_owned).collect(),
        };
        // An empty one would be lost, and with it the whole filter.
        if types.len() > TYPES_MAX || types.iter().any(String::is_empty) {
            let detail = format!("types: must be 1 to {TYPES_MAX} types with commas between");
            return Err(Failure::invalid_query(detail));
        }
        let limit = query::limit(self.limit, PAGE, 1..=PAGE_MAX)?;
        Ok(PageQuery { session, from, limit, max_bytes: PAGE_BYTES_MAX, types })
    }
}

/// The page as JSON, in the shape of [`EventPage`]. Events are copied, not encoded anew: what a reader gets is the
/// same bytes on every way.
pub fn encode(page: &Page) -> Vec<u8> {
    let lines: usize = page.lines.iter().map(|line| line.bytes.len() + 1).sum();
    let mut body = Vec::with_capacity(lines + 128);
    body.extend_from_slice(b"{\"events\":[");
    for (index, line) in page.lines.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&line.bytes);
    }
    let Page { first, head, has_more, .. } = page;
    write!(body, "],\"first_seq\":{first},\"head_seq\":{head},\"has_more\":{has_more}}}")
        .expect("a Vec takes all");
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::SessionId, store::Line};
    use bytes::Bytes;

    fn read(query: &str) -> Result<PageQuery, Failure> {
        let request =
            actix_web::test::TestRequest::with_uri(&format!("/?{query}")).to_http_request();
        query::read::<HistoryQuery>(&request)?.page(SessionId::from_uuid(uuid::Uuid::nil()))
    }

    #[test]
    fn the_query_says_where_from_and_how_much() {
        let newest = read("").unwrap();
        assert_eq!((newest.from, newest.limit), (PageFrom::Newest, 200));
        assert!(newest.types.is_empty());
        assert_eq!(read("after=0").unwrap().from, PageFrom::After(Seq(0)));
        let older = read("before=9&limit=1000&types=turn.started,turn.ended").unwrap();
        assert_eq!((older.from, older.limit), (PageFrom::Before(Seq(9)), 1000));
        assert_eq!(older.types, ["turn.started", "turn.ended"]);
        for wrong in [
            "after=1&before=2",
            "limit=0",
            "limit=1001",
            "types=",
            "types=a,,b",
            "after=x",
            "since=1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_holds_the_stored_bytes() {
        let line = |seq: u64, text: &'static str| Line {
            seq: Seq(seq),
            bytes: Bytes::from_static(text.as_bytes()),
        };
        // An order and a spelling that no encoder of ours would choose.
        let lines = vec![line(4, r#"{"seq":4,"b":1.0,"a":"\u00fc"}"#), line(5, r#"{"seq":5}"#)];
        let body = encode(&Page { lines, first: Seq(2), head: Seq(9), has_more: true });
        let text = r#"{"events":[{"seq":4,"b":1.0,"a":"\u00fc"},{"seq":5}],"first_seq":2,"head_seq":9,"has_more":true}"#;
        assert_eq!(String::from_utf8(body.clone()).unwrap(), text);
        let page: EventPage = serde_json::from_slice(&body).unwrap();
        assert_eq!(page.events[0].get(), r#"{"seq":4,"b":1.0,"a":"\u00fc"}"#);
        let empty =
            encode(&Page { lines: Vec::new(), first: Seq(1), head: Seq(0), has_more: false });
        assert!(serde_json::from_slice::<EventPage>(&empty).unwrap().events.is_empty());
    }
}

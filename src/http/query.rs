//! The reading of query strings: strict, and with errors that name the parameter. What a parameter means is not known
//! here.

use super::error::Failure;
use crate::wire::problem::ErrorCode;
use actix_web::HttpRequest;
use serde::de::DeserializeOwned;
use std::ops::RangeInclusive;

/// The request's query as a `T`, whose type refuses unknown fields.
pub(super) fn read<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Failure> {
    decode(request.query_string())
}

fn decode<T: DeserializeOwned>(query: &str) -> Result<T, Failure> {
    let pairs = form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs))
        .map_err(|error| Failure::unreadable(ErrorCode::InvalidQuery, &error))
}

/// A page's length: `default` where none is asked for.
pub(super) fn limit(
    asked: Option<u64>,
    default: usize,
    range: RangeInclusive<usize>,
) -> Result<usize, Failure> {
    let Some(asked) = asked else {
        return Ok(default);
    };
    let limit = usize::try_from(asked).ok().filter(|limit| range.contains(limit));
    let (least, most) = (range.start(), range.end());
    limit.ok_or_else(|| {
        Failure::invalid_query(format!("limit: must be from {least} to {most}, got {asked}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::history::HistoryQuery, *};

    #[test]
    fn an_error_in_a_query_names_the_parameter() {
        for (query, expected) in [
            ("limit=x", "limit: invalid digit found in string"),
            ("after=-1", "after: invalid digit found in string"),
            ("after=1&after=2", "duplicate field `after`"),
            (
                "aftr=1",
                "aftr: unknown field `aftr`, expected one of `after`, `before`, `limit`, `types`",
            ),
        ] {
            let failure = decode::<HistoryQuery>(query).expect_err(query);
            assert_eq!(failure.to_string(), expected);
        }
        assert_eq!(
            decode::<HistoryQuery>("types=a%2Cb").ok().and_then(|query| query.types).as_deref(),
            Some("a,b")
        );
    }

    #[test]
    fn a_limit_is_within_its_range() {
        assert_eq!(limit(None, 50, 1..=200).unwrap(), 50);
        assert_eq!(limit(Some(200), 50, 1..=200).unwrap(), 200);
        for wrong in [0, 201, u64::MAX] {
            assert!(limit(Some(wrong), 50, 1..=200).is_err(), "{wrong}");
        }
    }
}

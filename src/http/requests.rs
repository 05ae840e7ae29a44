//! How many requests were answered, by route and class of status. Routes are the templates of the paths that are
//! served, so that there are as many as there are calls, whatever is asked for.

use super::{admin, routes};
use crate::metrics::{Counter, Split};
use actix_web::http::StatusCode;
use std::collections::BTreeMap;

/// Where what no route takes is counted.
const OTHER: &str = "other";

/// The classes of status that are answered with.
pub(super) const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

pub(super) struct Requests(BTreeMap<&'static str, Split<{ CLASSES.len() }>>);

impl Requests {
    pub(super) fn new() -> Self {
        let paths = routes::paths().chain(admin::paths()).chain([OTHER]);
        Self(paths.map(|path| (path, Split::default())).collect())
    }

    /// `route`: the template of the path that took it.
    pub(super) fn answered(&self, route: Option<&str>, status: StatusCode) {
        let route = route.unwrap_or(OTHER);
        let Some(counts) = self.0.get(route).or_else(|| self.0.get(OTHER)) else { return };
        let class = usize::from(status.as_u16() / 100).clamp(2, CLASSES.len() + 1) - 2;
        counts.of(class).add(1);
    }

    /// Each route with its counts, in the order of [`CLASSES`].
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, [&Counter; CLASSES.len()])> {
        self.0.iter().map(|(route, counts)| (*route, std::array::from_fn(|class| counts.of(class))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_under_its_template_or_with_the_others() {
        let requests = Requests::new();
        for (route, status) in [
            (Some("/v1/sessions/{id}"), StatusCode::OK),
            (Some("/v1/sessions/{id}"), StatusCode::NOT_FOUND),
            (Some("/admin/status"), StatusCode::OK),
            (Some("/made/up"), StatusCode::OK),
            (None, StatusCode::SERVICE_UNAVAILABLE),
        ] {
            requests.answered(route, status);
        }
        let counted: Vec<_> = requests
            .counts()
            .map(|(route, counts)| (route, counts.map(Counter::get)))
            .filter(|(_, counts)| counts.iter().sum::<u64>() > 0)
            .collect();
        assert_eq!(
            counted,
            [
                ("/admin/status", [1, 0, 0, 0]),
                ("/v1/sessions/{id}", [1, 0, 1, 0]),
                ("other", [1, 0, 0, 1]),
            ]
        );
    }
}

//! Reading events: the runs of a session that hold what is asked for, older ones from the table `packed` and then those
//! of `recent`, or the other way round.

use super::{
    super::{Line, Page, PageFrom, PageQuery, StoreError},
    block::{self, Span},
    read,
    recent::{Run, View},
    row::{Key, seq},
};
use crate::domain::{Seq, event::line_type};
use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, params};
use std::ops::{ControlFlow, Range};

pub(super) fn page(view: &View<'_>, query: &PageQuery) -> Result<Page, StoreError> {
    let key = read::key(view, query.session)?;
    let (first, head) = extent(view, key)?;
    let (mut wanted, order) = match query.from {
        PageFrom::After(after) => (Seq(after.0.saturating_add(1))..head.next(), Order::Ascending),
        PageFrom::Before(before) => (first..before.min(head.next()), Order::Descending),
        PageFrom::Newest => (first..head.next(), Order::Descending),
    };
    if query.types.is_empty() {
        // One more than asked for, to learn whether there is more.
        let most = (query.limit as u64).saturating_add(1);
        match order {
            Order::Ascending => {
                let from = wanted.start.max(first);
                wanted = from..wanted.end.min(Seq(from.0.saturating_add(most)));
            }
            Order::Descending => {
                wanted.start = wanted.start.max(Seq(wanted.end.0.saturating_sub(most)));
            }
        }
    }
    let mut found = Found { query, lines: Vec::new(), bytes: 0, has_more: false };
    each_run(view, key, &wanted, order, |span, bytes| {
        let lines = block::lines(bytes, span, wanted.clone()).ok_or_else(|| damaged(span))?;
        Ok(match order {
            Order::Ascending => found.take(lines.into_iter()),
            Order::Descending => found.take(lines.into_iter().rev()),
        })
    })?;
    let Found { mut lines, has_more, .. } = found;
    if order == Order::Descending {
        lines.reverse();
    }
    Ok(Page { lines, first, head, has_more })
}

/// The first and the last seq of a session; `first` is `head + 1` where it has no event.
pub(super) fn extent(view: &View<'_>, key: Key) -> rusqlite::Result<(Seq, Seq)> {
    let ends = |sql| {
        view.prepare_cached(sql)?.query_row(key.events(), |row| row.get(0).map(seq)).optional()
    };
    let packed = ends("SELECT id FROM packed WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1")?;
    let packed = match packed {
        None => None,
        Some(first) => ends(
            "SELECT id + count - 1 FROM packed WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1",
        )?
        .map(|last| (first, last)),
    };
    Ok(joined(packed, view.recent.extent(key, view.newest)))
}

/// What the two tables have of a session, put together.
pub(super) fn joined(packed: Option<(Seq, Seq)>, recent: Option<(Seq, Seq)>) -> (Seq, Seq) {
    let first = packed.or(recent).map(|(first, _)| first);
    let head = recent.or(packed).map(|(_, last)| last);
    let head = head.unwrap_or(Seq::ZERO);
    (first.unwrap_or(head.next()), head)
}

/// One event's line; None where it is not there.
pub(super) fn line(view: &View<'_>, key: Key, seq: Seq) -> Result<Option<Bytes>, StoreError> {
    let wanted = seq..seq.next();
    let mut found = None;
    each_run(view, key, &wanted, Order::Ascending, |span, bytes| {
        let lines = block::lines(bytes, span, wanted.clone()).ok_or_else(|| damaged(span))?;
        found = lines.into_iter().next().map(|line| line.bytes);
        // The last packed run may end before it.
        Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(found)
}

/// Lines of a page in the making, in the order in which they are read.
struct Found<'a> {
    query: &'a PageQuery,
    lines: Vec<Line>,
    bytes: usize,
    has_more: bool,
}

impl Found<'_> {
    fn take(&mut self, lines: impl Iterator<Item = Line>) -> ControlFlow<()> {
        let query = self.query;
        for line in lines {
            if !query.types.is_empty() && !is_one_of(&query.types, &line.bytes) {
                continue;
            }
            self.bytes += line.bytes.len();
            let is_over = self.bytes > query.max_bytes && !self.lines.is_empty();
            self.has_more = self.lines.len() == query.limit || is_over;
            if self.has_more {
                return ControlFlow::Break(());
            }
            self.lines.push(line);
        }
        ControlFlow::Continue(())
    }
}

fn is_one_of(types: &[String], line: &[u8]) -> bool {
    line_type(line).is_some_and(|name| types.iter().any(|wanted| wanted == name))
}

fn damaged(span: Span) -> StoreError {
    StoreError::Damaged(format!("the events {} to {} cannot be read", span.first, span.last()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Calls `visit` with each run of the session that holds any of `wanted`.
fn each_run(
    view: &View<'_>,
    key: Key,
    wanted: &Range<Seq>,
    order: Order,
    mut visit: impl FnMut(Span, &[u8]) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let recent = view.recent.runs(key, view.newest, wanted);
    match order {
        Order::Ascending => {
            if each_packed(view, key, wanted, order, &mut visit)?.is_continue() {
                let _ = each_recent(recent.into_iter(), &mut visit)?;
            }
        }
        Order::Descending => {
            if each_recent(recent.into_iter().rev(), &mut visit)?.is_continue() {
                let _ = each_packed(view, key, wanted, order, &mut visit)?;
            }
        }
    }
    Ok(())
}

type Visit<'a> = &'a mut dyn FnMut(Span, &[u8]) -> Result<ControlFlow<()>, StoreError>;

fn each_packed(
    view: &View<'_>,
    key: Key,
    wanted: &Range<Seq>,
    order: Order,
    visit: Visit<'_>,
) -> Result<ControlFlow<()>, StoreError> {
    // The run that holds the first one wanted may begin before it.
    let mut statement = view.prepare_cached(match order {
        Order::Ascending => {
            "SELECT id, count, lines FROM packed WHERE id <= ?3 AND id >= coalesce(
                (SELECT id FROM packed WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1), ?2)
                ORDER BY id"
        }
        Order::Descending => {
            "SELECT id, count, lines FROM packed WHERE id <= ?3 AND id >= coalesce(
                (SELECT id FROM packed WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1), ?2)
                ORDER BY id DESC"
        }
    })?;
    let last = Seq(wanted.end.0 - 1);
    let bounds = params![key.events().0, key.event(wanted.start), key.event(last)];
    let mut rows = statement.query(bounds)?;
    while let Some(row) = rows.next()? {
        let (span, lines) = packed_run(row)?;
        if visit(span, lines)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A row of the columns `id`, `count`, `lines`.
pub(super) fn packed_run<'a>(row: &'a Row<'_>) -> rusqlite::Result<(Span, &'a [u8])> {
    let span = Span { first: seq(row.get(0)?), count: row.get(1)? };
    Ok((span, row.get_ref(2)?.as_blob()?))
}

fn each_recent(
    runs: impl Iterator<Item = Run>,
    visit: Visit<'_>,
) -> Result<ControlFlow<()>, StoreError> {
    for run in runs {
        if visit(run.span, &run.lines)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

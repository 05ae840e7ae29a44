//! A hole in a stream being filled: events that did not arrive are read from history, and the one that showed the hole
//! is held until they are there. What is shown is decided by the stream's place.

use crate::client::{ClientError, History, LogEvent, StreamItem};
use futures_util::future::BoxFuture;
use std::collections::VecDeque;

type Page = Result<Option<VecDeque<StreamItem>>, ClientError>;

pub(super) struct Heal {
    /// Where history is while no page is being fetched.
    history: Option<History>,
    /// Owned here, so that a dropped call loses no page.
    fetching: Option<BoxFuture<'static, (History, Page)>>,
    ready: VecDeque<StreamItem>,
    held: (StreamItem, String),
}

#[derive(Debug)]
pub(super) enum Found {
    /// The next event of those that are missing.
    Missing(StreamItem),
    /// No more are missing: the event that is held comes next.
    Whole,
}

impl Heal {
    /// `history`: what is missing; `held`: the event behind it, with its id.
    pub(super) fn new(history: History, held: StreamItem, id: String) -> Self {
        let history = Some(history);
        Self { history, fetching: None, ready: VecDeque::new(), held: (held, id) }
    }

    /// A call that is dropped before it answers loses nothing.
    pub(super) async fn next(&mut self) -> Result<Found, ClientError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Found::Missing(item));
            }
            if let Some(history) = self.history.take() {
                self.fetching = Some(Box::pin(fetch(history)));
            }
            let Some(fetching) = &mut self.fetching else {
                return Ok(Found::Whole);
            };
            let (history, page) = fetching.await;
            self.fetching = None;
            if let Some(items) = page? {
                self.ready = items;
                self.history = Some(history);
            }
        }
    }

    pub(super) fn into_held(self) -> (StreamItem, String) {
        self.held
    }
}

async fn fetch(mut history: History) -> (History, Page) {
    let page = match history.next_page().await {
        Ok(Some(lines)) => {
            let events = lines
                .into_iter()
                .map(|line| LogEvent::parse(String::from(Box::<str>::from(line)).into()));
            events
                .map(|event| event.map(StreamItem::Event))
                .collect::<Result<_, _>>()
                .map(Some)
                .map_err(|error| history.malformed(&error))
        }
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    (history, page)
}

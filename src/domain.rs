//! The nouns: ids, states, events, messages, the session's stored row, cursors.
//! Values and rules only; nothing here does I/O, reads a clock or knows async.

pub mod content;
pub mod cursor;
pub mod event;
pub mod id;
pub mod session;
pub mod state;
pub mod time;

pub use content::ContentBlock;
pub use event::{Body, Draft};
pub use id::{ConnectionId, MessageId, Seq, SessionId, StoreId};
pub use session::Session;
pub use state::{ClientState, EndReason, State};
pub use time::Timestamp;

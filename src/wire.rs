//! What crosses the wire, as types: SSE frames, bodies, problem documents. Pure: bytes in, values out, and back.

pub mod admin;
pub mod api;
pub mod problem;
pub mod sse;

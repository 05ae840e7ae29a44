//! The usual way to stream with actix-web: one channel for each stream, from which actix-web-lab's `Sse` writes, encoding
//! each event for each of them. Keeps nothing. `lab PORT`.

use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use actix_web_lab::sse;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// What a reader may be behind; then it is dropped.
const QUEUE: usize = 1024;

type Readers = Mutex<HashMap<String, Vec<mpsc::Sender<sse::Event>>>>;

async fn publish(
    topic: web::Path<String>,
    line: String,
    readers: web::Data<Readers>,
) -> HttpResponse {
    let mut readers = readers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(readers) = readers.get_mut(topic.as_str()) {
        readers.retain(|reader| reader.try_send(sse::Data::new(line.clone()).into()).is_ok());
    }
    HttpResponse::NoContent().finish()
}

async fn subscribe(topic: web::Path<String>, readers: web::Data<Readers>) -> impl Responder {
    let (reader, events) = mpsc::channel(QUEUE);
    // The first of a channel that was just made has room.
    let _ = reader.try_send(sse::Event::Comment("hi".into()));
    let mut readers = readers.lock().unwrap_or_else(PoisonError::into_inner);
    readers.entry(topic.into_inner()).or_default().push(reader);
    sse::Sse::from_infallible_receiver(events)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(4480);
    let readers = web::Data::new(Readers::default());
    HttpServer::new(move || {
        App::new()
            .app_data(readers.clone())
            .route("/pub/{topic}", web::post().to(publish))
            .route("/sub/{topic}", web::get().to(subscribe))
    })
    .backlog(4096)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}

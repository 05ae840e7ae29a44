//! What is refused, in which order, and how that is said.

use super::*;

#[actix_web::test]
async fn calls_are_refused_in_the_contracts_order() {
    let messages = |id: &str| format!("/v1/sessions/{id}/messages");
    let (first, second) = (session(1).to_string(), session(2).to_string());
    // Each has every later fault as well: the body is neither JSON nor a message.
    for (token, id, status, code) in [
        ("", "x", 401, "unauthorized"),
        ("swt_guess", "x", 401, "unauthorized"),
        (VIEWER, "x", 403, "forbidden"),
        (OPERATOR, "x", 404, "not_found"),
        (LIMITED, &second, 404, "not_found"),
        (LIMITED, &session(3).to_string(), 404, "not_found"),
        (LIMITED, &first, 415, "unsupported_media_type"),
        (OPERATOR, &first, 415, "unsupported_media_type"),
    ] {
        let answer =
            call(log(), request(Method::POST, &messages(id), token).set_payload("no")).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{token} on {id}");
        assert_eq!(answer.headers.contains_key(header::WWW_AUTHENTICATE), status == 401);
    }
}

#[actix_web::test]
async fn a_body_is_refused_with_the_reason() {
    let path = format!("/v1/sessions/{}/messages", session(1));
    for (body, status, code, detail) in [
        ("{", 400, "invalid_body", "line 1 column 1"),
        (r#"{"message_id":"a","colour":1}"#, 400, "invalid_body", "colour: unknown field"),
        (r#"{"message_id":"a"}"#, 400, "invalid_body", "content: is missing"),
        (&format!(r#"{{"message_id":"{}"}}"#, "x".repeat(2000)), 413, "too_large", "1024 bytes"),
    ] {
        let request =
            request(Method::POST, &path, OPERATOR).insert_header(header::ContentType::json());
        let answer = call(log(), request.set_payload(body.to_owned())).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{body}");
        let found = answer.body["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{found}");
    }
}

#[actix_web::test]
async fn a_create_of_a_profile_out_of_scope_is_as_of_one_that_is_not_there() {
    let body = json!({ "agent": "other" });
    let answer = call(log(), request(Method::POST, "/v1/sessions", LIMITED).set_json(body)).await;
    assert_eq!((answer.status, answer.code()), (422, "unknown_agent"));
    let absent = Failure::from(Refusal::UnknownAgent("other".into()));
    assert_eq!(answer.body["detail"], absent.to_string());
}

#[actix_web::test]
async fn paths_and_methods_that_are_not_there_are_problems_too() {
    let answer = call(log(), get("/v1/nothing", VIEWER)).await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
    let answer = call(log(), request(Method::PUT, "/v1/sessions", VIEWER)).await;
    assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"));
    assert_eq!(answer.header(header::ALLOW), "GET, POST");
}

#[actix_web::test]
async fn a_foreign_host_is_turned_away_before_anything_else() {
    let answer =
        call(log(), get("/v1/sessions", VIEWER).insert_header((header::HOST, "evil.org"))).await;
    assert_eq!((answer.status, answer.code()), (421, "foreign_host"));
}

#[actix_web::test]
async fn every_answer_is_neither_sniffed_nor_kept() {
    for request in [
        get("/v1/sessions", VIEWER),
        get("/v1/sessions", ""),
        get("/v1/nothing", ""),
        get("/v1/sessions", "").insert_header((header::HOST, "evil.org")),
    ] {
        let answer = call(log(), request).await;
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    }
}

#[actix_web::test]
async fn two_credentials_in_one_request_are_none() {
    let twice = get("/v1/sessions", VIEWER)
        .append_header((header::AUTHORIZATION, format!("Bearer {OPERATOR}")));
    assert_eq!(call(log(), twice).await.status, 401);
}

#[actix_web::test]
async fn a_panic_in_a_handler_is_a_problem_and_the_next_call_is_served() {
    async fn fails() -> actix_web::HttpResponse {
        panic!("inner affairs")
    }
    let scope = web::scope("")
        .route("/fails", web::get().to(fails))
        .route("/works", web::get().to(actix_web::HttpResponse::Ok))
        .wrap(from_fn(gate::private));
    let service = init_service(Application::new().service(scope)).await;
    let failed = answer(&service, get("/fails", "").to_request()).await;
    assert_eq!((failed.status, failed.code()), (500, "internal"));
    assert!(!failed.body.to_string().contains("affairs"));
    assert_eq!(answer(&service, get("/works", "").to_request()).await.status, 200);
}

/// Sends these bytes to a real server and reads until it closes the connection.
async fn exchange(request: String) -> String {
    let app = app(log());
    let server = actix_web::HttpServer::new(move || {
        Application::new().app_data(app.clone()).configure(configure)
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let running = actix_web::rt::spawn(server);
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    handle.stop(false).await;
    running.await.unwrap().unwrap();
    String::from_utf8(reply).unwrap()
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_answered_without_waiting_for_it() {
    let path = format!("/v1/sessions/{}/messages", session(1));
    // Announced, and never sent.
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {OPERATOR}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    );
    let reply = exchange(request).await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("\"code\":\"too_large\""), "{reply}");
}

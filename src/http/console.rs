//! The console: its page, what the page is made of, and the client library, all out of the binary and without a
//! credential. They hold nothing of anybody's: what they show is asked of the API. `build.rs` makes them of `console/`.

use super::{
    auth::{self, Viewer},
    error::Failure,
    routes::{Endpoint, get},
};
use crate::wire::problem::ErrorCode;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderMap},
    web,
};

/// All that has a name under [`ASSETS`] may be kept for ever: other content has another name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// Names the content of this build.
const ASSETS: &str = env!("SEAWALL_ASSETS");

/// The page can fetch from us alone and run what we serve alone. It makes no element out of text, and the last directive
/// has the browser see to that as well.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// A file as it is, and compressed.
struct File {
    kind: &'static str,
    plain: &'static [u8],
    packed: &'static [u8],
}

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            kind: $kind,
            plain: include_bytes!(concat!(env!("OUT_DIR"), "/", $name)),
            packed: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
        }
    };
}

const PAGE: File = file!("index.html", "text/html; charset=utf-8");
const CLIENT: File = file!("client.js", "text/javascript; charset=utf-8");
const SCRIPT: File = file!("console.js", "text/javascript; charset=utf-8");
const STYLE: File = file!("console.css", "text/css; charset=utf-8");
const ICON: File = file!("icon.svg", "image/svg+xml");

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get("/", page), get("/client.js", client), get("/assets/{build}/{name}", asset)]
}

async fn page(request: HttpRequest) -> HttpResponse {
    let mut response = serve(&request, &PAGE, ASK_AGAIN);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // For browsers that do not know `frame-ancestors`.
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (
            header::PERMISSIONS_POLICY,
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

async fn client(request: HttpRequest) -> HttpResponse {
    serve(&request, &CLIENT, ASK_AGAIN)
}

async fn asset(
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (build, name) = path.into_inner();
    let file = match name.as_str() {
        "console.js" => &SCRIPT,
        "console.css" => &STYLE,
        "icon.svg" => &ICON,
        _ => return Err(unknown()),
    };
    // A page of another build must not keep this content under that name.
    if build != ASSETS {
        return Err(unknown());
    }
    Ok(serve(&request, file, FOR_EVER))
}

fn unknown() -> Failure {
    Failure::new(ErrorCode::NotFound, "this build of the console has no such file; reload the page")
}

fn serve(request: &HttpRequest, file: &File, cache: &'static str) -> HttpResponse {
    keep_connection(request);
    // Weak: both forms are the same content.
    let tag = format!("W/\"{ASSETS}\"");
    let is_known = names(request.headers(), &header::IF_NONE_MATCH, |known| known == tag);
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .insert_header((header::VARY, "Accept-Encoding"));
    if is_known {
        return response.finish();
    }
    response.content_type(file.kind);
    if !names(request.headers(), &header::ACCEPT_ENCODING, is_gzip) {
        return response.body(file.plain);
    }
    response.insert_header((header::CONTENT_ENCODING, "gzip")).body(file.packed)
}

/// A browser that is signed in asks for the rest over the connection that it has.
fn keep_connection(request: &HttpRequest) {
    // A header that is wrong would count as a guess; browsers send the cookie.
    if !request.headers().contains_key(header::AUTHORIZATION) {
        // Whoever is not is served all the same.
        let _ = auth::authorize::<Viewer>(request);
    }
}

/// Whether one item of a list in a header is the one.
fn names(headers: &HeaderMap, name: &header::HeaderName, is: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| is(item.trim()))
}

fn is_gzip(coding: &str) -> bool {
    let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
    let weight = weight.trim().strip_prefix("q=").map(|weight| weight.parse::<f32>());
    name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight, Some(Ok(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for (coding, expected) in [
            ("gzip", true),
            ("GZip; q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(is_gzip(coding), expected, "{coding}");
        }
    }

    #[test]
    fn the_page_names_this_builds_assets_and_has_nothing_inline() {
        let page = std::str::from_utf8(PAGE.plain).unwrap();
        for name in ["console.js", "console.css", "icon.svg"] {
            assert!(page.contains(&format!("\"assets/{ASSETS}/{name}\"")), "{page}");
        }
        let inline = ["<style", " style=", " onload", "javascript:", "{hash}"];
        assert!(!inline.iter().any(|part| page.contains(part)), "{page}");
        let scripts: Vec<_> = page.split("<script").skip(1).collect();
        assert!(
            scripts.iter().all(|script| script.contains(" src=") && script.contains("></script>"))
        );
    }
}

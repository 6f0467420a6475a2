//! Attachments of comments: images, videos and sounds that are uploaded once and shown by their address.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};

use crate::app::App;
use crate::auth::Caller;
use crate::error::{Error, Result};
use crate::routes::Params;
use crate::store::random_hex;

/// What may be uploaded, and what a file of it is called.
const KINDS: &[(&str, &str)] = &[
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("video/mp4", "mp4"),
    ("video/quicktime", "mov"),
    ("video/webm", "webm"),
    ("audio/mpeg", "mp3"),
    ("audio/wav", "wav"),
];
const LIMIT: usize = 10_000_000;
const VIDEO_LIMIT: usize = 50_000_000;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/uploads", post(upload))
        .route("/uploads/{name}", get(show))
}

async fn upload(app: App, caller: Caller, request: Request) -> Result<Response> {
    caller.writer()?;
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some((kind, extension)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        return Err(Error::bad_request(format!("Unsupported file type: \"{kind}\"")));
    };
    let limit = if kind.starts_with("video/") { VIDEO_LIMIT } else { LIMIT };
    let body = Limited::new(request.into_body(), limit)
        .collect()
        .await
        .map_err(|_| Error::TooLarge(format!("File is too large: the limit is {} MB", limit / 1_000_000)))?
        .to_bytes();
    let name = format!("{}.{extension}", random_hex(16));
    let url = format!("{}/uploads/{name}", app.url());
    app.run(move |store| {
        let folder = store.root().join("uploads");
        fs_err::create_dir_all(&folder)?;
        let file = tempfile::NamedTempFile::new_in(&folder)?;
        fs_err::write(file.path(), &body)?;
        file.persist(folder.join(name)).map_err(|err| err.error)?;
        Ok(())
    })
    .await?;
    Ok((StatusCode::OK, url).into_response())
}

/// Who has the address may see it, as on the Hub: comments of private repositories have addresses that nobody guesses.
async fn show(app: App, params: Params) -> Result<Response> {
    let name = params.get("name")?.to_owned();
    let missing = || Error::NotFound("Not found".to_owned());
    let is_name = name
        .split_once('.')
        .filter(|(stem, _)| stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit()));
    let (_, extension) = is_name.ok_or_else(missing)?;
    let (kind, _) = KINDS
        .iter()
        .find(|(_, known)| *known == extension)
        .ok_or_else(missing)?;
    let path = app.root().join("uploads").join(&name);
    let bytes = app
        .run(move |_| match fs_err::read(&path) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Err(missing()),
            read => Ok(read?),
        })
        .await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use crate::testing::{ADA, BOB, EVE, Hub, send};

    #[test]
    fn what_is_uploaded_is_shown_by_its_address() {
        let hub = Hub::start();
        let kind = |kind| [("content-type", kind)];
        let url = hub
            .send("POST", BOB, "/uploads", &kind("image/png"), b"\x89PNG")
            .expect(200)
            .text();
        let shown = send(&url, "GET", "", "", &[], b"").expect(200);
        assert_eq!(
            (shown.header("content-type"), &*shown.body),
            ("image/png", &b"\x89PNG"[..])
        );
        hub.send("POST", "", "/uploads", &kind("image/png"), b"x").expect(401);
        hub.send("POST", EVE, "/uploads", &kind("image/png"), b"x").expect(403);
        hub.send("POST", ADA, "/uploads", &kind("text/html"), b"<script>")
            .expect(400);
        hub.send("POST", ADA, "/uploads", &kind("image/png"), &vec![0; 10_000_001])
            .expect(413);
        for name in [
            "x.png",
            "..%2Fhub.db",
            &format!("{}.png", "0".repeat(32)),
            &format!("{}.db", "0".repeat(32)),
        ] {
            hub.get("", &format!("/uploads/{name}")).expect(404);
        }
    }
}

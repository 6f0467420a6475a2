//! Git LFS: where large files go and come from. The bytes themselves pass through the second origin.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use http::{StatusCode, header};
use hub_types::Sha256;
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock;
use crate::error::{Error, Result};
use crate::origin::{self, PartPlace, UPLOAD_LIFETIME};
use crate::routes::{Json, OriginalPath, Query, Target, done};
use crate::signing::UNRESERVED;
use crate::store::{Repo, random_hex};

/// Objects that one batch may ask about.
const BATCH_LIMIT: usize = 1000;

/// What one request may carry: an object store takes no more.
const BASIC_LIMIT: u64 = 5_000_000_000;

/// Parts that one upload may have.
const PARTS_LIMIT: u64 = 10_000;

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/-web/{kind}/{id}/info/lfs/objects/batch", post(batch))
        .route("/-web/{kind}/{id}/info/lfs/objects/verify", post(verify))
        .route("/-web/{kind}/{id}/info/lfs/locks", any(no_locks))
        .route("/-web/{kind}/{id}/info/lfs/locks/{*rest}", any(no_locks))
        .route("/api/complete_multipart", post(complete))
}

fn lfs_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body.to_string()).into_response()
}

#[derive(Deserialize)]
struct Batch {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    #[serde(rename = "ref")]
    reference: Option<Reference>,
    objects: Vec<Object>,
    hash_algo: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: i64,
}

async fn batch(app: App, target: Target, Json(batch): Json<Batch>) -> Result<Response> {
    if batch.objects.len() > BATCH_LIMIT {
        return Err(Error::TooLarge(format!(
            "a batch may have {BATCH_LIMIT} objects at the most"
        )));
    }
    if batch
        .hash_algo
        .as_deref()
        .is_some_and(|algo| !matches!(algo, "sha256" | "sha_256"))
    {
        return Err(Error::bad_request("\"hash_algo\" must be sha256"));
    }
    let upload = match &*batch.operation {
        "upload" => {
            may_upload(&target, batch.reference.as_ref())?;
            true
        }
        "download" => {
            target.caller.check_content(&target.repo)?;
            false
        }
        _ => return Err(Error::bad_request("\"operation\" must be one of [download, upload]")),
    };
    let accepts = |name: &str| batch.transfers.iter().any(|transfer| transfer == name);
    let largest = batch.objects.iter().map(|object| object.size).max().unwrap_or(0);
    let xet = (upload && accepts("xet") && app.store().xet.is_some()).then(|| {
        let route = format!("{}/api/{}/xet-write-token", app.url(), target.repo.id.api_path());
        match &batch.reference {
            Some(reference) => {
                let name = reference.name.strip_prefix("refs/heads/").unwrap_or(&reference.name);
                format!("{route}/{}", utf8_percent_encode(name, UNRESERVED))
            }
            // For a pull request that is to be made.
            None => format!("{route}/main?create_pr=1"),
        }
    });
    let transfer_by_xet = xet.is_some();
    let multipart = upload && accepts("multipart") && u64::try_from(largest).unwrap_or(0) > app.part_size();
    let plan = Plan {
        app: app.clone(),
        repo: target.repo.clone(),
        now: clock::now().0.as_second(),
        upload,
        multipart,
        xet,
    };
    let objects = app
        .run(move |_| {
            batch
                .objects
                .iter()
                .map(|object| plan.answer(object))
                .collect::<Result<Vec<_>>>()
        })
        .await?;
    let transfer = match (transfer_by_xet, multipart) {
        (true, _) => "xet",
        (false, true) => "multipart",
        (false, false) => "basic",
    };
    Ok(lfs_json(
        StatusCode::OK,
        &json!({ "transfer": transfer, "objects": objects, "hash_algo": "sha256" }),
    ))
}

/// Whoever may write may upload; and so may who may propose, for a pull request.
fn may_upload(target: &Target, reference: Option<&Reference>) -> Result<()> {
    let for_pull_request = reference.is_none_or(|reference| reference.name.starts_with("refs/pr/"));
    if for_pull_request {
        target.caller.check_content(&target.repo)?;
        target.caller.writer()?;
        return Ok(());
    }
    target.caller.check_write(&target.repo)?;
    Ok(())
}

struct Plan {
    app: App,
    repo: Repo,
    now: i64,
    upload: bool,
    multipart: bool,
    /// Where tokens are to be had, for an upload by Xet.
    xet: Option<String>,
}

impl Plan {
    fn answer(&self, object: &Object) -> Result<Value> {
        let mut reply = json!({ "oid": object.oid, "size": object.size });
        match self.actions(object)? {
            Ok(None) => {}
            Ok(Some(actions)) => {
                reply["actions"] = actions;
            }
            Err((code, message)) => reply["error"] = json!({ "code": code, "message": message }),
        }
        Ok(reply)
    }

    /// What to do with one object: nothing, something, or why not.
    fn actions(&self, object: &Object) -> Result<Result<Option<Value>, (u16, String)>> {
        let Ok(sha256) = object.oid.parse::<Sha256>() else {
            return Ok(Err((422, "\"oid\" must be 64 hexadecimal digits".to_owned())));
        };
        let Ok(size) = u64::try_from(object.size) else {
            return Ok(Err((422, "\"size\" must not be negative".to_owned())));
        };
        let known = self.app.store().db.lfs_size(&self.repo, &sha256)?;
        Ok(match (self.upload, known) {
            (_, Some(known)) if known != size => Err((422, format!("size mismatch: the object has {known} bytes"))),
            (true, Some(_)) => Ok(None),
            (true, None) => self.place(&sha256, size),
            (false, None) => Err((404, "Object does not exist on the server".to_owned())),
            (false, Some(_)) => {
                let href = origin::download_url(&self.app, self.repo.row, &sha256, "attachment", self.now);
                Ok(Some(
                    json!({ "download": { "href": href, "expires_in": origin::LIFETIME } }),
                ))
            }
        })
    }

    /// Where an object is to be put.
    fn place(&self, sha256: &Sha256, size: u64) -> Result<Option<Value>, (u16, String)> {
        if let (Some(route), Some(storage)) = (&self.xet, &self.app.store().xet) {
            let token = storage.token();
            let header = json!({
                "X-Xet-Cas-Url": storage.url,
                "X-Xet-Access-Token": token.text,
                "X-Xet-Token-Expiration": token.expires.to_string(),
            });
            return Ok(Some(json!({ "upload": { "href": route, "header": header } })));
        }
        let verify = json!({
            "href": format!("{}.git/info/lfs/objects/verify", self.app.repo_url(&self.repo.id)),
        });
        if self.multipart && size > self.app.part_size() {
            return Ok(Some(json!({ "upload": self.parts(sha256, size), "verify": verify })));
        }
        if size > BASIC_LIMIT {
            return Err((
                422,
                "You need to configure your repository to enable upload of files > 5GB. Run \"hf lfs-enable-largefiles \
                 ./path/to/your/repo\" and try again."
                    .to_owned(),
            ));
        }
        let href = origin::upload_url(&self.app, self.repo.row, sha256, size, self.now);
        Ok(Some(
            json!({ "upload": { "href": href, "expires_in": UPLOAD_LIFETIME }, "verify": verify }),
        ))
    }

    fn parts(&self, sha256: &Sha256, size: u64) -> Value {
        let chunk = self.app.part_size().max(size.div_ceil(PARTS_LIMIT));
        let upload = random_hex(16);
        let mut header = BTreeMap::from([("chunk_size".to_owned(), chunk.to_string())]);
        for number in 1..=size.div_ceil(chunk) {
            let offset = (number - 1) * chunk;
            let part = PartPlace {
                number,
                offset,
                size: chunk.min(size - offset),
            };
            let url = origin::part_url(&self.app, self.repo.row, sha256, &upload, &part, self.now);
            header.insert(format!("{number:05}"), url);
        }
        let query = format!(
            "uploadId={upload}&repo={}&oid={sha256}&size={size}&chunk={chunk}",
            self.repo.row
        );
        let target =
            self.app
                .store()
                .signer
                .sign("POST", "/api/complete_multipart", &query, self.now + UPLOAD_LIFETIME);
        json!({ "href": format!("{}{target}", self.app.url()), "header": header, "expires_in": UPLOAD_LIFETIME })
    }
}

#[derive(Deserialize)]
struct Complete {
    oid: String,
    parts: Vec<CompletePart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompletePart {
    part_number: u64,
    etag: String,
}

/// The end of an upload in parts. The address is signed, so nobody needs to sign in.
async fn complete(app: App, given: OriginalPath, query: Query, request: Request) -> Result<Response> {
    let now = clock::now().0.as_second();
    app.store()
        .signer
        .check("POST", &given.0, now)
        .map_err(|why| Error::forbidden(format!("the address of this upload is not valid: {why:?}")))?;
    let bytes = super::whole_body(request).await?;
    let body: Complete =
        serde_json::from_slice(&bytes).map_err(|err| Error::bad_request(format!("invalid JSON body: {err}")))?;
    let number = |key: &str| -> Result<u64> {
        query
            .get(key)
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| Error::bad_request(format!("{key} must be a number")))
    };
    let (size, chunk) = (number("size")?, number("chunk")?.max(1));
    let repo = i64::try_from(number("repo")?).map_err(|_| Error::bad_request("repo must be a number"))?;
    let sha256: Sha256 = query.get("oid").unwrap_or_default().parse()?;
    let upload = query.get("uploadId").unwrap_or_default().to_owned();
    if body.oid.parse::<Sha256>().ok() != Some(sha256) {
        return Err(Error::bad_request("\"oid\" is not that of the upload"));
    }
    app.run(move |store| {
        let count = size.div_ceil(chunk);
        if body.parts.len() as u64 != count {
            return Err(Error::bad_request(format!(
                "{} parts were named, not {count}",
                body.parts.len()
            )));
        }
        for (index, part) in body.parts.iter().enumerate() {
            let expected = index as u64 + 1;
            if part.part_number != expected {
                return Err(Error::bad_request("the parts must be named in their order"));
            }
            if store.part_etag(&upload, expected)?.as_deref() != Some(&*part.etag) {
                return Err(Error::bad_request(format!(
                    "part {expected} has not arrived, or has another etag"
                )));
            }
        }
        store.keep_parts(repo, &upload, &sha256, size)
    })
    .await?;
    Ok(done())
}

#[derive(Deserialize)]
struct Verify {
    oid: String,
    size: u64,
}

async fn verify(app: App, target: Target, Json(object): Json<Verify>) -> Result<Response> {
    let sha256: Sha256 = object.oid.parse()?;
    let known = app.run(move |store| store.db.lfs_size(&target.repo, &sha256)).await?;
    match known {
        Some(size) if size == object.size => Ok(lfs_json(StatusCode::OK, &json!({}))),
        Some(_) => Err(Error::bad_request("size mismatch")),
        None => Err(Error::NotFound("Object does not exist on the server".to_owned())),
    }
}

/// The Hub has no locks, and says so with the status after which git-lfs goes on without.
async fn no_locks() -> Response {
    lfs_json(
        StatusCode::NOT_FOUND,
        &json!({ "message": "Git LFS file locking is not supported" }),
    )
}

#[cfg(test)]
mod tests {
    use hub_types::Sha256;
    use serde_json::json;

    use crate::testing::{ADA, BOB, EVE, Hub, send};

    const VERIFY: &str = "/ada/demo.git/info/lfs/objects/verify";

    #[test]
    fn a_large_file_comes_in_one_request() {
        let hub = Hub::with_demo();
        let (bytes, sha256) = (b"0123456789", Sha256::of(b"0123456789").to_string());
        let reply = hub.batch(ADA, "upload", &sha256, 10);
        assert_eq!(reply["transfer"], "basic");
        let actions = &reply["objects"][0]["actions"];
        let href = actions["upload"]["href"].as_str().unwrap();
        assert!(href.starts_with(hub.server.blob_url()));
        let verify = json!({"oid": sha256, "size": 10}).to_string();
        hub.post(ADA, VERIFY, &verify).expect(404);

        let put = |token: &str, headers: &[(&str, &str)], body: &[u8]| send(href, "PUT", token, "", headers, body);
        put(ADA, &[], bytes).expect(400);
        put("", &[], b"012345678").expect(400);
        let wrong = put("", &[], b"012345678X").expect(400);
        assert!(wrong.text().contains("<Code>BadDigest</Code>"), "{}", wrong.text());
        put("", &[("transfer-encoding", "chunked")], b"a\r\n0123456789\r\n0\r\n\r\n").expect(411);
        hub.post(ADA, VERIFY, &verify).expect(404);
        let stored = put("", &[], bytes).expect(200);
        assert!(!stored.header("etag").is_empty());
        hub.post(ADA, VERIFY, &verify).expect(200);
        hub.post(ADA, VERIFY, &json!({"oid": sha256, "size": 11}).to_string())
            .expect(400);

        // It is there: nothing to do.
        let again = hub.batch(ADA, "upload", &sha256, 10);
        assert!(again["objects"][0].get("actions").is_none());
        let wrong = hub.batch(ADA, "upload", &sha256, 11);
        assert_eq!(wrong["objects"][0]["error"]["code"], 422);
        let down = hub.batch("", "download", &sha256, 10);
        let href = down["objects"][0]["actions"]["download"]["href"].as_str().unwrap();
        assert_eq!(send(href, "GET", "", "", &[], b"").expect(200).body, bytes);
        let none = hub.batch("", "download", &"0".repeat(64), 10);
        assert_eq!(none["objects"][0]["error"]["code"], 404);
        let bad = hub.batch("", "download", "nonsense", 10);
        assert_eq!(bad["objects"][0]["error"]["code"], 422);
    }

    #[test]
    fn a_hash_gives_no_right_to_the_bytes() {
        let hub = Hub::with_demo();
        let sha256 = hub.upload_large(b"secret");
        hub.post(BOB, "/api/repos/create", r#"{"name":"other"}"#).expect(200);
        let line = crate::testing::large("x.bin", &sha256, 6);
        let header = r#"{"key":"header","value":{"summary":"x","description":""}}"#;
        hub.post(BOB, "/api/models/bob/other/commit/main", &format!("{header}\n{line}"))
            .expect(400);
    }

    #[test]
    fn a_file_comes_in_parts() {
        let hub = Hub::start_with(|builder| builder.part_size(4));
        hub.create("demo");
        let (bytes, sha256) = (b"0123456789", Sha256::of(b"0123456789").to_string());
        let reply = hub.batch(ADA, "upload", &sha256, 10);
        assert_eq!(reply["transfer"], "multipart");
        let upload = &reply["objects"][0]["actions"]["upload"];
        assert_eq!(upload["header"]["chunk_size"], "4");
        let complete = upload["href"].as_str().unwrap();
        assert!(complete.starts_with(hub.server.url()));
        let finish = |etags: &[String]| {
            let parts: Vec<_> = (1..)
                .zip(etags)
                .map(|(n, etag)| json!({"partNumber": n, "etag": etag}))
                .collect();
            let body = json!({"oid": sha256, "parts": parts}).to_string();
            send(complete, "POST", "", "", &[], body.as_bytes())
        };
        let mut etags = Vec::new();
        // In any order, and one of them twice.
        for index in [2usize, 0, 1, 1] {
            let url = upload["header"][format!("{:05}", index + 1)].as_str().unwrap();
            let part = &bytes[4 * index..10.min(4 * index + 4)];
            send(url, "PUT", "", "", &[], &part[1..]).expect(400);
            let etag = send(url, "PUT", "", "", &[], part)
                .expect(200)
                .header("etag")
                .to_owned();
            etags.push((index, etag));
        }
        etags.sort();
        etags.dedup();
        let etags: Vec<String> = etags.into_iter().map(|(_, etag)| etag).collect();
        finish(&etags[..2]).expect(400);
        finish(&["\"x\"".to_owned(), etags[1].clone(), etags[2].clone()]).expect(400);
        send(&complete.replace("size=10", "size=11"), "POST", "", "", &[], b"{}").expect(403);
        finish(&etags).expect(200);
        hub.commit(&[crate::testing::large("x.bin", &sha256, 10)]).expect(200);
        let there = hub
            .get("", "/ada/demo/resolve/main/x.bin")
            .expect(302)
            .header("location")
            .to_owned();
        assert_eq!(send(&there, "GET", "", "", &[], b"").expect(200).body, bytes);
    }

    #[test]
    fn who_may_upload() {
        let hub = Hub::with_demo();
        let batch = |token: &str, reference: &str| {
            let body = format!(
                r#"{{"operation":"upload","objects":[]{}}}"#,
                if reference.is_empty() {
                    String::new()
                } else {
                    format!(r#","ref":{{"name":"{reference}"}}"#)
                }
            );
            hub.post(token, "/ada/demo.git/info/lfs/objects/batch", &body).status
        };
        assert_eq!(batch(ADA, "main"), 200);
        assert_eq!(batch(BOB, "main"), 403);
        assert_eq!(batch(BOB, ""), 200, "for a pull request");
        assert_eq!(batch(BOB, "refs/pr/1"), 200);
        assert_eq!(batch(EVE, ""), 403);
        assert_eq!(batch("", "main"), 401);
        hub.post(
            ADA,
            "/ada/demo.git/info/lfs/objects/batch",
            r#"{"operation":"x","objects":[]}"#,
        )
        .expect(400);
        hub.post(ADA, "/ada/demo.git/info/lfs/locks/verify", "{}").expect(404);
    }
}

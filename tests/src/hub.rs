//! A Hub for one test.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use hub_http::HfApi;
use hub_server::{Builder, Role, Server, ServerThread};
use hub_types::Token;

use crate::{Python, TestEnv};

/// The token of the user `ada`, who may write.
pub const ADA: &str = "hf_adaadaadaadaadaadaadaadaada";

/// The token of the user `bob`, who may write in his own namespace.
pub const BOB: &str = "hf_bobbobbobbobbobbobbobbobbob";

/// A token of the user `ada` that may only read.
pub const ADA_READS: &str = "hf_readsreadsreadsreadsreads";

/// A running Hub on loopback addresses, with the users `ada` and `bob`. It ends when it is dropped.
#[derive(Debug)]
pub struct TestHub {
    server: ServerThread,
}

impl TestEnv {
    /// Starts a Hub and lets every later command of this test find it: `HF_ENDPOINT` is set, and `HF_TOKEN` to [`ADA`].
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_hub(&mut self) -> TestHub {
        self.start_hub_with(|builder| builder)
    }

    /// Lets a release of the official client judge a Hub of its own: runs a script of the fixtures against it.
    ///
    /// # Panics
    ///
    /// When anything is not as the script says it must be.
    #[track_caller]
    pub fn judge(python: Python, script: &str) {
        Self::judge_with(python, script, |builder| builder);
    }

    /// As [`TestEnv::judge`], with settings of the server's own.
    ///
    /// # Panics
    ///
    /// When anything is not as the script says it must be.
    #[track_caller]
    pub fn judge_with(python: Python, script: &str, configure: impl FnOnce(Builder) -> Builder) {
        let mut env = Self::new();
        let _hub = env.start_hub_with(configure);
        let output = env.python(python, script, [""; 0]).success();
        assert_eq!(output.stdout, "ok\n", "{output}");
    }

    /// Makes a model of a text, a text in a folder and 6 MB of weights, which go through LFS, and gives its files.
    ///
    /// The official client uploads them, so that a test of ours does not stand on our own upload. `options` is empty or
    /// `["private"]`.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn seed_model(&self, id: &str, options: &[&str]) -> Vec<(&'static str, Vec<u8>)> {
        let files = vec![
            ("config.json", b"{\"hidden\": 4}\n".to_vec()),
            ("model.safetensors", noise(6_000_000, 1)),
            ("sub/notes.txt", "grüße\n".as_bytes().to_vec()),
        ];
        for (name, bytes) in &files {
            self.write(&format!("seed/{name}"), bytes);
        }
        let args = [&[id, "seed"], options].concat();
        let _ = self.python(Python::V2_4, "python/upload.py", args).success();
        files
    }

    /// As [`TestEnv::start_hub`], with settings of the server's own.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start_hub_with(&mut self, configure: impl FnOnce(Builder) -> Builder) -> TestHub {
        let builder = Server::builder(self.root().join("hub"))
            .user("ada", ADA, Role::Write)
            .user("bob", BOB, Role::Write)
            .user("ada", ADA_READS, Role::Read);
        let server = configure(builder).start_in_thread().expect("the Hub starts");
        self.set("HF_ENDPOINT", server.url());
        self.set("HF_TOKEN", ADA);
        TestHub { server }
    }
}

impl TestHub {
    /// The address to give clients.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The origin of the large files.
    pub fn blob_url(&self) -> &str {
        self.server.blob_url()
    }

    /// Where it and the origin of the large files listen.
    pub fn listens_at(&self) -> [std::net::SocketAddr; 2] {
        self.server.listens_at()
    }

    /// The folder that holds all of it.
    pub fn root(&self) -> &Path {
        self.server.root()
    }

    /// A client with this token, whatever the environment says.
    ///
    /// # Panics
    ///
    /// When the token cannot be one.
    pub fn api(&self, token: &str) -> HfApi {
        let token = Token::new(token).expect("the token of a test is right");
        let builder = HfApi::builder().endpoint(self.url()).token(token);
        builder.build().expect("the client can be built")
    }

    /// Commits files to a model of the user `ada`, which is made if it is not there; its other files stay.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn commit<N: AsRef<str>, B: AsRef<[u8]>>(&self, id: &str, files: impl IntoIterator<Item = (N, B)>) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for (name, bytes) in files {
            let path = folder.path().join(name.as_ref());
            let parent = path.parent().expect("the path is below a folder");
            fs_err::create_dir_all(parent).expect("a folder can be made in the temporary folder");
            fs_err::write(path, bytes).expect("a file can be written in the temporary folder");
        }
        let api = self.api(ADA);
        api.create_repo(id)
            .exist_ok(true)
            .wait()
            .expect("the model can be made");
        api.upload_folder(id, folder.path())
            .wait()
            .expect("the files can be committed");
    }

    /// Sends what a page of the site sends and no client has an operation for: a like, a request for access. Gives the
    /// reply's status.
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub fn post(&self, token: &str, path: &str, body: &str) -> u16 {
        let address = self.url().strip_prefix("http://").expect("the Hub speaks plain http");
        let mut stream = TcpStream::connect(address).expect("the Hub listens");
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\
             content-type: application/json\r\nconnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the Hub reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("the Hub replies");
        let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.expect("a reply begins with its status")
    }

    /// The bare repository of a model, for git itself to look at.
    pub fn bare_repository(&self, id: &str) -> PathBuf {
        self.root().join("repos").join("models").join(format!("{id}.git"))
    }
}

/// The files below a folder, by their paths in it with `/`; links are files.
///
/// # Panics
///
/// When the folder changes meanwhile.
pub fn files_below(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs_err::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let entry = entry.expect("a folder can be read");
            if entry.file_type().expect("an entry has a type").is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let below = path.strip_prefix(root).expect("what is in a folder is below it");
            found.insert(below.to_str().expect("the names are text").to_owned(), path);
        }
    }
    found
}

/// Bytes that are no text and that no compression shortens; the same for the same seed.
pub fn noise(length: usize, seed: u32) -> Vec<u8> {
    let words = (0..(length / 4 + 1) as u32).map(|i| (i ^ seed.rotate_left(16)).wrapping_mul(2_654_435_761));
    words.flat_map(u32::to_le_bytes).take(length).collect()
}

//! The model `hub/welcome`, which a new Hub may be given: small, but real.
//!
//! A byte-level language model of three tables of probabilities, counted on the text of its licence. Everything is
//! computed when the repository is made, by additions and divisions alone, so that the bytes are the same everywhere.

use hub_types::{RepoId, RepoPath, Sha256};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::store::edit::TreeEdit;
use crate::store::git::FILE_MODE;
use crate::store::lfs::Pointer;
use crate::store::repos::{Found, NewRepo};
use crate::store::{Store, Visibility};

const OWNER: &str = "hub";
const NAME: &str = "hub/welcome";
const LICENSE: &str = include_str!("LICENSE.txt");
const README: &str = include_str!("README.md");

const BYTES: usize = 256;
const ROWS: usize = 4096;

/// What is added to each count, so that no byte is impossible.
const SMOOTHING: f32 = 0.01;

/// Makes `hub/welcome`, or what is missing of it.
pub(crate) fn welcome(store: &Store) -> Result<()> {
    let id = RepoId::model(NAME)?;
    let repo = match store.db.repo(&id)? {
        // Whoever has moved it keeps it where it is.
        Some(Found::Moved(_)) => return Ok(()),
        Some(Found::Here(repo)) => *repo,
        None => {
            store.db.put_org(OWNER, &[])?;
            store.create_repo(&NewRepo {
                id,
                visibility: Visibility::Public,
                sdk: None,
            })?
        }
    };
    let git = store.git(&repo)?;
    let weights: RepoPath = "model.safetensors".parse()?;
    if git.entry(git.resolve("main")?, &weights)?.is_some() {
        return Ok(());
    }
    let model = model();
    let (sha256, size) = (Sha256::of(&model), model.len() as u64);
    let mut incoming = store.new_blob()?;
    incoming.write(&model)?;
    store.keep_blob(repo.row, incoming, &sha256, size)?;
    let pointer = Pointer { sha256, size };
    store.locked(&repo, || {
        let head = git.resolve("main")?;
        let mut edit = TreeEdit::new(&git.0, git.tree_of(head)?);
        for (path, text) in [
            ("README.md", README.to_owned()),
            ("LICENSE", LICENSE.to_owned()),
            ("config.json", pretty(&config())?),
            ("tokenizer.json", pretty(&tokenizer())?),
            (weights.as_str(), pointer.text()),
        ] {
            edit.put(&path.parse()?, git.0.blob(text.as_bytes())?, FILE_MODE)?;
        }
        let commit = git.commit(edit.write()?, &[head], OWNER, "Say hello")?;
        git.move_ref("refs/heads/main", Some(head), commit, "seed")
    })?;
    store.index(&repo)
}

fn pretty(value: &Value) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|_| Error::Internal)?;
    text.push('\n');
    Ok(text)
}

fn config() -> Value {
    json!({
        "architectures": ["ByteTrigram"],
        "model_type": "byte-trigram",
        "vocab_size": BYTES,
        "trigram_rows": ROWS,
        "row_multiplier": 31,
        "mixing": [0.05, 0.2, 0.75],
        "smoothing": 0.01,
        "torch_dtype": "float32",
    })
}

/// A byte-level tokenizer without merges, in the format of the `tokenizers` library.
fn tokenizer() -> Value {
    let vocab: Map<String, Value> = (0..=255u8)
        .map(|byte| (shown(byte).to_string(), u32::from(byte).into()))
        .collect();
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": level,
        "post_processor": null,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocab,
            "merges": [],
        },
    })
}

/// The character that stands for a byte in byte-level vocabularies: itself if it can be seen, else one from U+0100 on.
fn shown(byte: u8) -> char {
    let visible = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if visible(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !visible(*b)).count();
    char::from_u32(0x100 + before as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The weights, as a safetensors file.
fn model() -> Vec<u8> {
    let text = LICENSE.as_bytes();
    let mut unigram = vec![0u32; BYTES];
    let mut bigram = vec![0u32; BYTES * BYTES];
    let mut trigram = vec![0u32; ROWS * BYTES];
    for window in text.windows(3) {
        let [first, second, next] = [window[0], window[1], window[2]].map(usize::from);
        unigram[next] += 1;
        bigram[second * BYTES + next] += 1;
        trigram[(first * 31 + second) % ROWS * BYTES + next] += 1;
    }
    let tensors = [
        ("bigram.weight", vec![BYTES, BYTES], bigram),
        ("trigram.weight", vec![ROWS, BYTES], trigram),
        ("unigram.weight", vec![BYTES], unigram),
    ];
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut data = Vec::new();
    for (name, shape, counts) in tensors {
        let start = data.len();
        for row in counts.chunks(BYTES) {
            let total = row.iter().sum::<u32>() as f32 + SMOOTHING * BYTES as f32;
            for count in row {
                data.extend_from_slice(&((*count as f32 + SMOOTHING) / total).to_le_bytes());
            }
        }
        let tensor = json!({ "data_offsets": [start, data.len()], "dtype": "F32", "shape": shape });
        header.insert(name.to_owned(), tensor);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The format wants the data to begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(&header);
    file.extend_from_slice(&data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_a_safetensors_file_and_the_same_everywhere() {
        let file = model();
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        assert_eq!((8 + length) % 8, 0);
        let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
        let data = &file[8 + length..];
        assert_eq!(header["unigram.weight"]["data_offsets"][1], data.len());
        let row: f32 = data[..4 * BYTES]
            .chunks(4)
            .map(|number| f32::from_le_bytes(number.try_into().unwrap()))
            .sum();
        assert!((row - 1.0).abs() < 1e-3, "{row}");
        assert_eq!(file, model());
        assert!((4 << 20..6 << 20).contains(&file.len()), "{}", file.len());
    }

    #[test]
    fn every_byte_has_a_token_of_its_own() {
        let tokenizer = tokenizer();
        assert_eq!(tokenizer["model"]["vocab"].as_object().unwrap().len(), BYTES);
        assert_eq!((shown(b'a'), shown(b' '), shown(0)), ('a', 'Ġ', 'Ā'));
    }

    #[test]
    fn seeding_twice_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), None).unwrap();
        welcome(&store).unwrap();
        let id = RepoId::model(NAME).unwrap();
        let head = |store: &Store| match store.db.repo(&id).unwrap() {
            Some(Found::Here(repo)) => (repo.head.clone(), repo.facts["safetensors"]["total"].as_u64()),
            other => panic!("{other:?}"),
        };
        let first = head(&store);
        assert_eq!(first.1, Some((BYTES + BYTES * BYTES + ROWS * BYTES) as u64));
        welcome(&store).unwrap();
        assert_eq!(head(&store), first);
    }
}

use super::*;

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn store() -> (tempfile::TempDir, TokenStore) {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("hf");
    let store = TokenStore::new(home.join("token"), home.join("stored_tokens"));
    (dir, store)
}

#[test]
fn a_login_is_what_python_writes() {
    let (_dir, store) = store();
    store.login("my laptop", StoredToken::new(&token("hf_b"))).unwrap();
    let oauth = StoredToken::new(&token("hf_oauth_x")).with_refresh(Some(&token("hf_oauth_rt")), Some(1_790_000_000));
    store.login("an oauth", oauth).unwrap();
    assert_eq!(
        fs_err::read_to_string(store.stored_tokens_path()).unwrap(),
        "[an oauth]\nhf_token = hf_oauth_x\nrefresh_token = hf_oauth_rt\nexpires_at = 1790000000\n\n[my laptop]\nhf_token = hf_b\n\n"
    );
    assert_eq!(fs_err::read_to_string(store.token_path()).unwrap(), "hf_oauth_x");
    assert_eq!(store.active_name().unwrap().as_deref(), Some("an oauth"));
    store.switch("my laptop").unwrap();
    assert_eq!(store.active().unwrap(), Some(token("hf_b")));
    let stored = store.stored().unwrap();
    let oauth = stored.get("an oauth").unwrap();
    assert_eq!(oauth.expires_at(), Some(1_790_000_000));
    assert_eq!(oauth.refresh_token(), Some(token("hf_oauth_rt")));
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = store();
    store.login("a", StoredToken::new(&token("hf_a"))).unwrap();
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.token_path()), 0o600);
    assert_eq!(mode(store.stored_tokens_path()), 0o600);
    assert_eq!(mode(store.token_path().parent().unwrap()), 0o700);
    let text = format!("{:?} {:?}", store.stored().unwrap(), store);
    assert!(!text.contains("hf_a"), "{text}");
}

#[test]
fn logging_out_deletes_the_active_token_only_when_it_is_that_one() {
    let (_dir, store) = store();
    assert_eq!(store.logout_all().unwrap(), Logout::NotLoggedIn);
    for name in ["a", "b", "c"] {
        store
            .login(name, StoredToken::new(&token(&format!("hf_{name}"))))
            .unwrap();
    }
    assert_eq!(store.logout("a").unwrap(), Logout::Deleted);
    assert_eq!(store.active().unwrap(), Some(token("hf_c")));
    assert_eq!(store.logout("a").unwrap(), Logout::NotLoggedIn);
    assert_eq!(store.logout("c").unwrap(), Logout::DeletedActive);
    assert_eq!(store.active().unwrap(), None);
    assert_eq!(store.logout_all().unwrap(), Logout::Deleted);
    assert!(!store.stored_tokens_path().exists());
}

#[test]
fn reads_what_configparser_reads() {
    let text = "# mine\n[a]\nHF_TOKEN: hf_a\nextra = 1\n  2\n\n[b]]\nhf_token=hf_b\n[no token]\n";
    let tokens = parse(text).unwrap();
    assert_eq!(tokens["a"].token(), Some(token("hf_a")));
    assert_eq!(tokens["a"].field("extra"), Some("1\n2"));
    assert_eq!(tokens["b]"].token(), Some(token("hf_b")));
    assert_eq!(tokens["no token"].token(), None);
    for bad in ["{\"a\": 1}", "x = 1", "[a]\nb", "[a]\n[a]\n", "[a]\nx=1\nx=2\n"] {
        assert!(parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn other_fields_survive_and_an_unreadable_file_is_kept() {
    let (_dir, store) = store();
    fs_err::create_dir_all(store.token_path().parent().unwrap()).unwrap();
    fs_err::write(store.stored_tokens_path(), "[a]\nhf_token = hf_a\nnote = x\n  y\n").unwrap();
    store.login("b", StoredToken::new(&token("hf_b"))).unwrap();
    assert_eq!(store.stored().unwrap().get("a").unwrap().field("note"), Some("x\ny"));

    fs_err::write(store.stored_tokens_path(), "{\"a\": \"hf_json\"}").unwrap();
    assert!(store.stored().unwrap().is_unreadable());
    store.login("b", StoredToken::new(&token("hf_b"))).unwrap();
    let kept = store.stored_tokens_path().with_file_name("stored_tokens.unreadable");
    assert_eq!(fs_err::read_to_string(kept).unwrap(), "{\"a\": \"hf_json\"}");
    assert!(store.stored().unwrap().get("b").is_some());
}

#[test]
fn a_name_that_no_section_can_have_is_refused_and_nothing_is_written() {
    let (_dir, store) = store();
    for name in ["", " a", "a\nb", "DEFAULT"] {
        assert!(store.login(name, StoredToken::new(&token("hf_a"))).is_err(), "{name:?}");
    }
    assert!(!store.token_path().parent().unwrap().exists());
    let err = store.switch("nobody").unwrap_err().to_string();
    assert!(err.contains("'nobody'"), "{err}");
}

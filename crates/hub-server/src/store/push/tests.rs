use super::*;

#[test]
fn a_request_is_read_line_by_line() {
    let (zero, one) = ("0".repeat(40), "1".repeat(40));
    let mut bytes = Vec::new();
    packet(
        &mut bytes,
        format!("{zero} {one} refs/heads/x\0report-status atomic\n").as_bytes(),
    );
    packet(&mut bytes, format!("shallow {one}").as_bytes());
    packet(&mut bytes, format!("{one} {zero} refs/heads/a b").as_bytes());
    bytes.extend_from_slice(b"0000PACK");
    let mut input = &bytes[..];
    let request = read_request(&mut input).unwrap();
    assert!(request.asks("atomic") && request.asks("report-status") && !request.asks("quiet"));
    assert_eq!(request.updates.len(), 2);
    assert_eq!(request.updates[0].old, None);
    assert_eq!(request.updates[1].new, None);
    assert_eq!(request.updates[1].name, "refs/heads/a b");
    assert_eq!(input, b"PACK");
}

#[test]
fn garbage_is_refused() {
    for bad in ["", "zzzz", "0003", "0008abcd0000", "ffff", "0000"] {
        let read = read_request(&mut bad.as_bytes());
        assert!(read.is_err() || bad == "0000", "{bad}");
    }
}

#[test]
fn the_reply_says_each_refs_fate() {
    let request = Request {
        updates: vec![
            RefUpdate {
                old: None,
                new: None,
                name: "refs/heads/a".to_owned(),
                refused: None,
            },
            RefUpdate {
                old: None,
                new: None,
                name: "refs/heads/b".to_owned(),
                refused: Some("no".to_owned()),
            },
        ],
        capabilities: "report-status".to_owned(),
    };
    let text = String::from_utf8(reply(&request, &Ok(()), "")).unwrap();
    assert_eq!(text, "000eunpack ok\n0014ok refs/heads/a\n0017ng refs/heads/b no\n0000");
}

//! The guide as it is written: it shows what is run, and names every deprecated method.

use hub_tests::fixture;

use crate::git::walk;

/// Name and text of every region of the tests, in order.
fn regions() -> Vec<(String, String)> {
    let mut regions: Vec<(String, String)> = Vec::new();
    let mut lines: Option<Vec<&str>> = None;
    for line in include_str!("../git_guide.rs").lines() {
        match (line.trim().strip_prefix("// guide"), &mut lines) {
            (Some(rest), None) if rest.starts_with(": ") => {
                regions.push((rest[2..].to_owned(), String::new()));
                lines = Some(Vec::new());
            }
            (Some(""), Some(held)) => {
                let indent = held.iter().map(|line| line.len() - line.trim_start().len()).min();
                let text: Vec<&str> = held.iter().map(|line| &line[indent.unwrap_or(0)..]).collect();
                regions.last_mut().unwrap().1 = text.join("\n");
                lines = None;
            }
            (_, Some(held)) => held.push(line),
            _ => {}
        }
    }
    regions
}

fn guide() -> String {
    let path = fixture("../../docs/from-repository-to-hfapi.md");
    fs_err::read_to_string(path).unwrap()
}

#[test]
fn the_guide_shows_what_is_run_here() {
    let guide = guide();
    let regions = regions();
    let mut shown = 0;
    for (name, left) in &regions {
        let of_name: Vec<_> = regions.iter().filter(|(other, _)| other == name).collect();
        let [(_, first), (_, second)] = of_name[..] else {
            panic!("{name} stands here {} times", of_name.len());
        };
        if left != first {
            continue;
        }
        let cell = |text: &str| format!("<td>\n\n```rust\n{text}\n```\n\n</td>");
        let row = format!("{}\n{}", cell(first), cell(second));
        assert!(guide.contains(&row), "the guide is to show the pair {name}:\n{row}");
        shown += 2;
    }
    assert!(shown >= 40, "{shown}");
    assert_eq!(
        guide.matches("```rust").count(),
        shown,
        "the guide shows code that is not run here"
    );
}

#[test]
fn the_guide_names_every_deprecated_method() {
    let guide = guide();
    let dir = fixture("../../crates/hub-git-compat/src/repository");
    let mut count = 0;
    for file in walk(&dir) {
        let text = fs_err::read_to_string(file).unwrap();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if !line.trim().starts_with("#[deprecated") {
                continue;
            }
            let signature = lines.find(|line| line.contains("pub fn ")).unwrap();
            let name = signature.split("pub fn ").nth(1).unwrap();
            let name = name.split(['(', '<']).next().unwrap();
            assert!(guide.contains(&format!("`{name}`")), "the guide does not name {name}");
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

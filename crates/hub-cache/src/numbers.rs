//! Every statement and every weak spot that the specification of the cache numbers has a test with that number.

use std::collections::BTreeSet;
use std::path::Path;

use fs_err as fs;

/// What the specification numbers: statements, then weak spots.
const NUMBERED: [(char, u32); 2] = [('c', 104), ('w', 21)];

/// The numbers in the names of a source's tests: `fn c_013_c_014_…`.
fn numbers(source: &str, found: &mut BTreeSet<(char, u32)>) {
    let names = source.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
    for (name, _) in names {
        let parts: Vec<&str> = name.split('_').collect();
        for pair in parts.windows(2) {
            if let ("c" | "w", Ok(number), 3) = (pair[0], pair[1].parse(), pair[1].len()) {
                found.insert((if pair[0] == "c" { 'c' } else { 'w' }, number));
            }
        }
    }
}

#[test]
fn every_number_of_the_specification_has_a_test() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = BTreeSet::new();
    for folder in ["crates", "tests"] {
        for entry in walkdir::WalkDir::new(workspace.join(folder)) {
            let entry = entry.unwrap();
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                numbers(&fs::read_to_string(entry.path()).unwrap(), &mut found);
            }
        }
    }
    let missing: Vec<String> = NUMBERED
        .iter()
        .flat_map(|(kind, last)| (1..=*last).map(move |number| (*kind, number)))
        .filter(|number| !found.contains(number))
        .map(|(kind, number)| format!("{}-{number}", kind.to_ascii_uppercase()))
        .collect();
    assert!(missing.is_empty(), "without a test: {}", missing.join(", "));
}

#[test]
fn numbers_are_read_from_names() {
    let mut found = BTreeSet::new();
    numbers(
        "fn c_001_w_020_x() {} fn c_1() {} fn c_0022() {} let c_003 = 1;",
        &mut found,
    );
    assert_eq!(found, BTreeSet::from([('c', 1), ('w', 20)]));
}

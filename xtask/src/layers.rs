//! The arrows between crates: these and no others, and what must not be found below a crate.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// Each package of the workspace with those that it may depend on, in any section of its manifest.
const ARROWS: &[(&str, &[&str])] = &[
    ("hub-types", &[]),
    ("hub-http", &["hub-types"]),
    ("hub-cache", &["hub-http", "hub-types"]),
    ("hub-git-compat", &["hub-http", "hub-types"]),
    // Not hub-http: a server that shares the client's models would agree with its mistakes.
    ("hub-server", &["hub-types"]),
    (
        "hub-cli",
        &["hub-cache", "hub-git-compat", "hub-http", "hub-server", "hub-types"],
    ),
    (
        "hub-tests",
        &["hub-cache", "hub-git-compat", "hub-http", "hub-server", "hub-types"],
    ),
    ("xtask", &[]),
];

/// Crates that a build must not pull in, with the reason.
struct Without {
    package: &'static str,
    arguments: &'static [&'static str],
    banned: &'static [&'static str],
    reason: &'static str,
}

const WITHOUT: &[Without] = &[
    Without {
        package: "hub-types",
        arguments: &[],
        banned: &["tokio", "reqwest", "rustls", "hyper"],
        reason: "it is the vocabulary, without I/O",
    },
    Without {
        package: "hub-cache",
        arguments: &["--no-default-features"],
        banned: &["tokio", "reqwest", "rustls", "hyper", "hub-http"],
        reason: "who only reads the cache gets no HTTP",
    },
    Without {
        package: "hub-server",
        arguments: &[],
        banned: &["reqwest", "rustls", "hub-http"],
        reason: "it serves, it does not call",
    },
    Without {
        package: "hub-http",
        arguments: &["--no-default-features", "--features", "native-tls,blocking,cards"],
        banned: &["rustls", "ring", "aws-lc-sys", "tokio-rustls"],
        reason: "who must use the system's TLS may have no other",
    },
    Without {
        package: "hub-cli",
        arguments: &["--no-default-features", "--features", "native-tls"],
        banned: &["rustls", "ring", "aws-lc-sys", "tokio-rustls"],
        reason: "who must use the system's TLS may have no other",
    },
    Without {
        package: "hub-cli",
        arguments: &["--no-default-features", "--features", "aws-lc"],
        banned: &["ring", "openssl-sys", "native-tls"],
        reason: "who must use aws-lc may have no other",
    },
    Without {
        package: "hub-cli",
        arguments: &["--no-default-features", "--features", "native-tls,xet"],
        banned: &["rustls", "ring", "aws-lc-sys", "tokio-rustls"],
        reason: "Xet's library speaks the same TLS as the rest",
    },
    Without {
        package: "hub-cli",
        arguments: &["--features", "xet"],
        banned: &["aws-lc-sys", "openssl-sys", "native-tls"],
        reason: "Xet's library speaks the same TLS as the rest",
    },
    Without {
        package: "hub-cli",
        arguments: &[],
        banned: &["aws-lc-sys", "openssl-sys", "native-tls", "hf-xet"],
        reason: "a plain build has one TLS provider, which builds fast, and no Xet",
    },
];

pub(crate) fn run(sh: &Shell) -> Result<()> {
    let text = cmd!(sh, "cargo metadata --locked --no-deps --format-version 1")
        .quiet()
        .read()?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    check_arrows(&metadata, ARROWS)?;
    for &Without {
        package,
        arguments,
        banned,
        reason,
    } in WITHOUT
    {
        let tree = cmd!(
            sh,
            "cargo tree --locked --package {package} {arguments...} --edges normal,build --prefix none"
        );
        let tree = tree.quiet().read()?;
        let found: BTreeSet<&str> = tree
            .lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| banned.contains(name))
            .collect();
        if !found.is_empty() {
            let found = Vec::from_iter(found).join(", ");
            bail!("{package} {} has {found} below it: {reason}", arguments.join(" "));
        }
    }
    Ok(())
}

/// Fails on an arrow that is not in the table, and on a package that has no row.
fn check_arrows(metadata: &serde_json::Value, arrows: &[(&str, &[&str])]) -> Result<()> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let Some((_, allowed)) = arrows.iter().find(|(known, _)| *known == name) else {
            bail!("{name} has no row in the table of layers");
        };
        let dependencies = package["dependencies"]
            .as_array()
            .with_context(|| format!("{name} lists no dependencies"))?;
        for dependency in dependencies.iter().filter(|dependency| !dependency["path"].is_null()) {
            let target = dependency["name"].as_str().context("a dependency has no name")?;
            if !allowed.contains(&target) {
                bail!("{name} must not depend on {target}; the arrows between crates are in the README's architecture");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(name: &str, dependency: &str) -> serde_json::Value {
        serde_json::json!({"packages": [{"name": name, "dependencies": [
            {"name": "serde", "path": null},
            {"name": dependency, "path": "/somewhere"},
        ]}]})
    }

    #[test]
    fn known_arrows_pass_and_new_ones_fail() {
        check_arrows(&metadata("hub-http", "hub-types"), ARROWS).unwrap();
        let err = check_arrows(&metadata("hub-server", "hub-http"), ARROWS).unwrap_err();
        assert!(
            err.to_string().starts_with("hub-server must not depend on hub-http"),
            "{err}"
        );
        let err = check_arrows(&metadata("hub-new", "hub-types"), ARROWS).unwrap_err();
        assert_eq!(err.to_string(), "hub-new has no row in the table of layers");
    }
}

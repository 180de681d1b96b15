#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use super::check::check;
use super::reference::keys;
use super::*;

fn leaves(value: &toml::Value, prefix: &str, into: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(value, &name, into);
            }
        }
        _ => into.push(prefix.to_owned()),
    }
}

#[test]
fn every_setting_is_documented_and_nothing_else_is() {
    let settings = Settings {
        datasets: Some("schemas".into()),
        default_dataset: Some("telemetry".to_owned()),
        pseudonym_key: Some(toml::Value::from("5a".repeat(32)).try_into().unwrap()),
        auth: Auth {
            secret: Some(toml::Value::from("5a".repeat(32)).try_into().unwrap()),
            jwks_url: Some("https://issuer.example/keys".to_owned()),
            issuer: Some("https://issuer.example".to_owned()),
            audience: Some("alluvium".to_owned()),
            ..Auth::default()
        },
        postgres: Postgres {
            listen: Some(([127, 0, 0, 1], 5432).into()),
            certificate: Some("certificate.pem".into()),
            key: Some("key.pem".into()),
            ..Postgres::default()
        },
        maintain: Maintain { dead_letter_retention: Some(Duration::from_secs(1)), ..Maintain::default() },
        reports: Reports { folder: Some("reports".into()), ..Reports::default() },
        ..Settings::default()
    };
    let mut found = Vec::new();
    leaves(&toml::Value::try_from(&settings).unwrap(), "", &mut found);
    let mut documented: Vec<_> = keys().iter().map(|key| key.name.to_owned()).collect();
    found.sort();
    documented.sort();
    assert_eq!(found, documented);
}

#[test]
fn the_documentation_is_what_the_program_would_write() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, markdown().unwrap(), "run: make docs");
}

#[test]
#[allow(clippy::result_large_err, reason = "figment's Jail fixes the error type")]
fn a_secret_is_read_and_never_shown() {
    figment::Jail::expect_with(|jail| {
        jail.set_env("ALLUVIUM_PSEUDONYM_KEY", "5a5b5c");
        let loaded = load(None, &Flags::default()).unwrap();
        assert_eq!(loaded.settings.pseudonym_key.as_ref().unwrap().read().unwrap(), "5a5b5c");
        assert!(values(&loaded.settings).unwrap().contains(&("pseudonym_key", Some("set".to_owned()))));
        assert!(!format!("{:?}", loaded.settings).contains("5a5b5c"));
        jail.create_file("key", "6a6b\n")?;
        jail.set_env("ALLUVIUM_PSEUDONYM_KEY", "file:key");
        let loaded = load(None, &Flags::default()).unwrap();
        assert_eq!(loaded.settings.pseudonym_key.unwrap().read().unwrap(), "6a6b\n");
        Ok(())
    });
}

#[test]
fn the_defaults_pass_their_own_check() {
    check(&Settings::default()).unwrap();
}

#[test]
#[allow(clippy::result_large_err, reason = "figment's Jail fixes the error type")]
fn later_sources_win_and_are_named() {
    figment::Jail::expect_with(|jail| {
        jail.create_file("alluvium.toml", "listen = \"127.0.0.1:1\"\n[log]\nshards = 3\nretention = \"2h\"\n")?;
        jail.set_env("ALLUVIUM_LOG__SHARDS", "5");
        jail.set_env("ALLUVIUM_TOKEN", "not a setting");
        let flags = Flags { data: Some("here".into()), ..Flags::default() };
        let loaded = load(None, &flags).unwrap();
        assert_eq!(loaded.settings.listen.port(), 1);
        assert_eq!(loaded.settings.log.shards, 5);
        assert_eq!(loaded.settings.log.retention, Duration::from_secs(7200));
        assert!(loaded.source_of("listen").ends_with("alluvium.toml"), "{}", loaded.source_of("listen"));
        assert_eq!(loaded.source_of("log.shards"), "ALLUVIUM_LOG__SHARDS");
        assert_eq!(loaded.source_of("data"), "flag");
        assert_eq!(loaded.source_of("commit.interval"), "default");
        Ok(())
    });
}

#[test]
#[allow(clippy::result_large_err, reason = "figment's Jail fixes the error type")]
fn an_unknown_key_is_refused_by_name() {
    figment::Jail::expect_with(|jail| {
        jail.create_file("alluvium.toml", "[log]\nshard = 3\n")?;
        let message = load(None, &Flags::default()).unwrap_err().to_string();
        assert!(message.contains("`shard`") && message.contains("alluvium.toml"), "{message}");
        jail.create_file("alluvium.toml", "[commit]\ninterval = \"soon\"\n")?;
        let message = load(None, &Flags::default()).unwrap_err().to_string();
        assert!(message.contains("commit.interval") && message.contains("`soon` is no duration"), "{message}");
        jail.create_file("alluvium.toml", "[delivery]\nconcurrency = 0\n")?;
        let message = load(None, &Flags::default()).unwrap_err().to_string();
        assert!(message.contains("delivery.concurrency is 0"), "{message}");
        Ok(())
    });
}

#[test]
#[allow(clippy::result_large_err, reason = "figment's Jail fixes the error type")]
fn the_postgres_protocol_stays_on_this_machine() {
    figment::Jail::expect_with(|jail| {
        for (listen, expected) in [
            ("127.0.0.1:5432", None),
            ("[::1]:0", None),
            ("0.0.0.0:5432", Some("would not be encrypted")),
            ("192.0.2.1:5432", Some("would not be encrypted")),
        ] {
            let expected = if cfg!(feature = "postgres") { expected } else { Some("--features postgres") };
            jail.set_env("ALLUVIUM_POSTGRES__LISTEN", listen);
            let message = load(None, &Flags::default()).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(message, None, "{listen}"),
                Some(expected) => assert!(message.unwrap().contains(expected), "{listen}"),
            }
        }
        Ok(())
    });
}

#[test]
#[cfg(feature = "postgres")]
#[allow(clippy::result_large_err, reason = "figment's Jail fixes the error type")]
fn the_postgres_protocol_is_left_alone_with_others_only_encrypted_and_with_tokens() {
    figment::Jail::expect_with(|jail| {
        jail.set_env("ALLUVIUM_POSTGRES__LISTEN", "0.0.0.0:5432");
        jail.set_env("ALLUVIUM_POSTGRES__CERTIFICATE", "node.pem");
        let refusal = || load(None, &Flags::default()).err().map(|error| error.to_string());
        assert!(refusal().unwrap().contains("set both"));
        jail.set_env("ALLUVIUM_POSTGRES__KEY", "node.key");
        assert_eq!(refusal(), None);
        jail.set_env("ALLUVIUM_AUTH__REQUIRED", "false");
        assert!(refusal().unwrap().contains("on this machine alone"));
        Ok(())
    });
}

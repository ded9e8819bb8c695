//! The office's memory on disk: one JSON object a line, appended and synced before a receipt goes out. Holds the keys as
//! well, so that the file alone can be verified again: that is what happens when it is opened.
//!
//! A torn last line (power cut) is cut off when the file is opened; its record was never receipted and comes again.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    fs::{File, OpenOptions},
    io::AsyncWriteExt,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    Keys { site: String, jwks: String },
    Record { site: String, kind: String, jws: String },
}

#[derive(Debug)]
pub struct Keep(File);

impl Keep {
    /// Opens or creates the file and returns what it holds.
    pub async fn open(path: &Path) -> Result<(Self, Vec<Entry>)> {
        let describe = || format!("cannot use {}", path.display());
        let text = match tokio::fs::read(path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(describe),
        };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let entries = lines.map(serde_json::from_slice).collect::<Result<Vec<_>, _>>().with_context(describe)?;
        let file = OpenOptions::new().create(true).append(true).open(path).await.with_context(describe)?;
        file.set_len(u64::try_from(whole)?).await.with_context(describe)?;
        Ok((Self(file), entries))
    }

    /// On disk when this returns.
    pub async fn append(&mut self, entries: &[Entry]) -> Result<()> {
        let mut text = String::new();
        for entry in entries {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        self.0.write_all(text.as_bytes()).await.context("cannot append to the kept records")?;
        self.0.sync_data().await.context("cannot sync the kept records")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_torn_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept.jsonl");
        let entry = |jws: &str| Entry::Record { site: "S1".into(), kind: "charge".into(), jws: jws.into() };
        let (mut keep, held) = Keep::open(&path).await.unwrap();
        assert_eq!(held, []);
        keep.append(&[entry("a"), entry("b")]).await.unwrap();
        std::fs::write(&path, [std::fs::read(&path).unwrap(), b"{\"record\":{\"si".to_vec()].concat()).unwrap();
        let (mut keep, held) = Keep::open(&path).await.unwrap();
        assert_eq!(held, [entry("a"), entry("b")]);
        keep.append(&[entry("c")]).await.unwrap();
        assert_eq!(Keep::open(&path).await.unwrap().1, [entry("a"), entry("b"), entry("c")]);
    }
}

//! Disks that fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Site;

/// A disk that fails on demand; see `faulty_disk.c`.
pub struct FaultyDisk {
    folder: PathBuf,
}

impl FaultyDisk {
    pub fn under(site: &mut Site) -> Self {
        let folder = site.dir.path().join("disk");
        std::fs::create_dir(&folder).unwrap();
        let library = folder.join("faulty_disk.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty_disk.c");
        let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
        assert!(built.success());
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        site.env = vec![("LD_PRELOAD".into(), text(&library)), ("FAULTY_DISK".into(), text(&folder))];
        Self { folder }
    }

    pub fn fail(&self, how: &str) {
        std::fs::write(self.folder.join(how), "").unwrap();
    }

    pub fn mend(&self, how: &str) {
        std::fs::remove_file(self.folder.join(how)).unwrap();
    }

    /// Power is cut and comes back: of each file there is what surely reached the disk.
    pub fn power_cut(&self, site: &mut Site) {
        site.kill9();
        for name in ["forecourt.db", "forecourt.db-wal"] {
            std::fs::copy(self.folder.join(format!("{name}.image")), site.dir.path().join(name)).unwrap();
        }
        std::fs::remove_file(site.dir.path().join("forecourt.db-shm")).unwrap();
        site.env.clear();
    }
}

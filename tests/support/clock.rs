//! A site whose system clock the test sets (`clock.c`): the daemon, and commands, live in the time that the test says.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use super::Site;

pub struct SystemClock {
    offset: std::fs::File,
}

impl SystemClock {
    /// For the daemon and the commands of a site that does not run yet.
    pub fn of(site: &mut Site) -> Self {
        let library = site.dir.path().join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clock.c");
        let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
        assert!(built.success(), "cc could not compile {}", source.display());
        let file = site.dir.path().join("clock.offset");
        std::fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        site.env_of_all = vec![("LD_PRELOAD".into(), text(&library)), ("CLOCK_OFFSET_FILE".into(), text(&file))];
        Self { offset: std::fs::File::options().write(true).open(file).unwrap() }
    }

    /// In seconds from the true time.
    pub fn set(&self, offset: i64) {
        self.offset.write_all_at(&offset.to_ne_bytes(), 0).unwrap();
    }
}

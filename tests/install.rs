//! The commands that the README gives for an installation, run as they stand into an empty root.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use support::tools;

/// The command lines of the section, without `sudo`.
fn documented() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split("## Install it on a site").nth(1).expect("the section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
    block.lines().flat_map(|line| line.split(" && ")).map(|line| line.replace("sudo ", "")).collect()
}

#[test]
fn the_documented_commands_install_into_an_empty_root() {
    for tool in ["systemd-sysusers", "systemd-tmpfiles"] {
        if tools::tool(tool).is_none() {
            return;
        }
    }
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    // What every Debian 12 has of these; /etc/sysusers.d is not among them.
    for folder in ["/usr/bin", "/etc/systemd/system", "/etc/tmpfiles.d"] {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    let program = root.path().join("program");
    std::fs::write(&program, "").unwrap();
    let mut ran = 0;
    for line in documented() {
        if line.starts_with("cargo ") {
            continue;
        }
        let prefix = root.path().to_str().unwrap();
        let line = line.replace("target/release/forecourt", program.to_str().unwrap());
        let line = line.replace(" /etc/", &format!(" {prefix}/etc/")).replace(" /usr/", &format!(" {prefix}/usr/"));
        let line = line.replace("systemd-sysusers", &format!("systemd-sysusers --root={prefix}"));
        let line = line.replace("systemd-tmpfiles", &format!("systemd-tmpfiles --root={prefix}"));
        // The group exists in that root only; giving files away needs root.
        let line = line.replace(" -g forecourt", "");
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if !is_root && line.starts_with("systemd-") {
            std::fs::create_dir_all(at("/etc/forecourt/tariffs")).unwrap();
            continue;
        }
        let output = Command::new("sh").args(["-ec", &line]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        ran += 1;
        if line.contains("systemd-tmpfiles") {
            folders(&at("/etc"));
        }
    }
    assert!(ran >= 6, "{:?}", documented());
    let mode = |path: &str| at(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("/etc/forecourt/forecourt.toml"), mode("/usr/bin/forecourt")), (0o640, 0o755));
}

/// The service's user comes to every folder, the secrets too, and changes nothing there; others come to none.
fn folders(etc: &Path) {
    let users = std::fs::read_to_string(etc.join("passwd")).unwrap();
    let user = users.lines().find(|line| line.starts_with("forecourt:")).expect("the user");
    let group: u32 = user.split(':').nth(3).unwrap().parse().unwrap();
    for folder in ["forecourt", "forecourt/conf.d", "forecourt/tariffs", "forecourt/secrets"] {
        let found = etc.join(folder).metadata().unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.uid(), found.gid()), (0o750, 0, group), "{folder}");
    }
}

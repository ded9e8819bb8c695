//! Names of users, for the audit.

/// `alice (uid 1000)`, or the number alone where the system's list has no such user (getpwuid(3) would ask no network either).
pub fn name(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match named(&users, uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

/// passwd(5): `name:password:uid:…`.
fn named(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn users_are_named_as_the_system_does() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh\n";
        assert_eq!([0, 1000, 7].map(|uid| super::named(users, uid)), [Some("root"), Some("alice"), None]);
    }
}

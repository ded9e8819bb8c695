//! Just enough Rust to read a source file's paths, numbers and texts: comments are passed over, `use` trees are unfolded.
//! Not a parser: macros are read as the tokens they are, and names are not resolved.

/// A source file, by its path from the root of the repository.
pub struct File {
    pub path: String,
    pub text: String,
    tokens: Vec<Token>,
}

#[derive(Debug)]
struct Token {
    line: usize,
    /// Inline `mod name { … }` around it.
    depth: usize,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Name(String),
    /// `::`
    Sep,
    Mark(char),
    Number {
        float: bool,
    },
    Text(String),
}

/// `a::b::c` as written; one path for each leaf of a `use` tree, `*` for a glob.
pub struct Written {
    pub line: usize,
    /// Inline modules around it.
    pub depth: usize,
    /// Begins with `::`.
    pub global: bool,
    pub names: Vec<String>,
    /// Stands in a `use`, or in one that passes the name on (`pub use`).
    pub import: Option<Import>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Import {
    Own,
    Public,
}

/// A string literal, with the marks around it (a space where there is none).
pub struct Literal<'a> {
    /// On which it begins.
    pub line: usize,
    pub text: &'a str,
    pub before: char,
    pub after: char,
    /// `get` in `x.get("text")`.
    pub called: &'a str,
}

/// Words that may stand before a path that begins with `::`.
const BEFORE_A_PATH: &[&str] = &["as", "dyn", "else", "impl", "in", "mut", "return", "use"];

impl Written {
    pub fn first(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    pub fn has(&self, part: &[&str]) -> bool {
        self.names.windows(part.len()).any(|names| names.iter().zip(part).all(|(name, wanted)| name == wanted))
    }
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), tokens: tokens(text) }
    }

    /// Modules from the crate's root down to this file: `src/ocpp/v16/mod.rs` is `ocpp, v16`; empty for the root itself.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let parts = path.split('/').skip_while(|part| *part != "src").skip(1);
        parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).collect()
    }

    pub fn paths(&self) -> Vec<Written> {
        let mut found = Vec::new();
        let mut at = 0;
        let mut import = None;
        while at < self.tokens.len() {
            let known = found.len();
            let token = &self.tokens[at];
            if token.kind == Kind::Mark(';') {
                import = None;
            }
            let is_use = matches!(&token.kind, Kind::Name(name) if name == "use");
            let before = at.checked_sub(1).map(|before| &self.tokens[before].kind);
            let after_generics = at > 0 && self.tokens[at - 1].kind == Kind::Mark('>');
            match self.tokens[at].kind {
                Kind::Name(_) => at = self.tree(at, false, &[], &mut found),
                Kind::Sep if !after_generics && self.starts(at + 1) => at = self.tree(at + 1, true, &[], &mut found),
                _ => at += 1,
            }
            found[known..].iter_mut().for_each(|path: &mut Written| path.import = import);
            if is_use {
                let public = matches!(before, Some(Kind::Mark(')'))) || matches!(before, Some(Kind::Name(word)) if word == "pub");
                import = Some(if public { Import::Public } else { Import::Own });
            }
        }
        found
    }

    /// Whether the file declares `mod name`.
    pub fn declares(&self, name: &str) -> bool {
        let named = |kind: &Kind, name: &str| matches!(kind, Kind::Name(found) if found == name);
        self.tokens.windows(2).any(|pair| named(&pair[0].kind, "mod") && named(&pair[1].kind, name))
    }

    /// Lines with a floating-point literal.
    pub fn floats(&self) -> impl Iterator<Item = usize> {
        self.tokens.iter().filter(|token| token.kind == Kind::Number { float: true }).map(|token| token.line)
    }

    pub fn texts(&self) -> impl Iterator<Item = Literal<'_>> {
        self.tokens.iter().enumerate().filter_map(|(at, token)| {
            let Kind::Text(text) = &token.kind else { return None };
            let mark = |at: Option<usize>| match at.and_then(|at| self.tokens.get(at)).map(|token| &token.kind) {
                Some(Kind::Mark(mark)) => *mark,
                _ => ' ',
            };
            let called = match at.checked_sub(2).map(|at| &self.tokens[at].kind) {
                Some(Kind::Name(name)) => name,
                _ => "",
            };
            let (before, after) = (mark(at.checked_sub(1)), mark(Some(at + 1)));
            Some(Literal { line: token.line, text, before, after, called: if before == '(' { called } else { "" } })
        })
    }

    fn starts(&self, at: usize) -> bool {
        matches!(self.tokens.get(at).map(|token| &token.kind), Some(Kind::Name(_) | Kind::Mark('{' | '*')))
    }

    /// Reads a path or a `use` tree that begins at `at`; returns where it ends.
    fn tree(&self, mut at: usize, global: bool, prefix: &[String], found: &mut Vec<Written>) -> usize {
        let Some(token) = self.tokens.get(at) else { return at };
        let mut names = prefix.to_vec();
        match &token.kind {
            Kind::Mark('{') => {
                at += 1;
                while let Some(token) = self.tokens.get(at) {
                    match &token.kind {
                        Kind::Mark('}') => return at + 1,
                        Kind::Name(name) if name == "as" => at += 2,
                        Kind::Name(_) | Kind::Mark('{' | '*') => at = self.tree(at, global, prefix, found),
                        _ => at += 1,
                    }
                }
                return at;
            }
            Kind::Mark(mark) => names.push(mark.to_string()),
            Kind::Name(name) => {
                names.push(name.clone());
                let goes_on = self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Sep) && self.starts(at + 2);
                if goes_on && !BEFORE_A_PATH.contains(&name.as_str()) {
                    return self.tree(at + 2, global, &names, found);
                }
            }
            _ => return at + 1,
        }
        found.push(Written { line: token.line, depth: token.depth, global, names, import: None });
        at + 1
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text, line: 1, braces: Vec::new(), tokens: Vec::new() };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.token(next);
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// One for each open brace: whether it is a module's.
    braces: Vec<bool>,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn token(&mut self, next: char) {
        let rest = self.rest;
        let line = self.line;
        let kind = match next {
            _ if rest.starts_with("//") => return self.skip(rest.find('\n').unwrap_or(rest.len())),
            _ if rest.starts_with("/*") => return self.block_comment(),
            _ if next.is_whitespace() => return self.skip(next.len_utf8()),
            _ if rest.starts_with("::") => {
                self.take(2);
                Kind::Sep
            }
            '"' => self.text(),
            '\'' => return self.quote(),
            '0'..='9' => self.number(),
            _ if next.is_alphabetic() || next == '_' => self.name(),
            _ => {
                self.take(next.len_utf8());
                self.brace(next);
                Kind::Mark(next)
            }
        };
        let depth = self.braces.iter().filter(|module| **module).count();
        self.tokens.push(Token { line, depth, kind });
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn skip(&mut self, bytes: usize) {
        self.take(bytes);
    }

    fn brace(&mut self, mark: char) {
        let before = |back: usize| self.tokens.len().checked_sub(back).map(|at| &self.tokens[at].kind);
        let module = matches!((before(2), before(1)), (Some(Kind::Name(word)), Some(Kind::Name(_))) if word == "mod");
        match mark {
            '{' => self.braces.push(module),
            '}' => drop(self.braces.pop()),
            _ => {}
        }
    }

    fn block_comment(&mut self) {
        self.take(2);
        let mut open = 1;
        while open > 0 && !self.rest.is_empty() {
            let inner = self.rest;
            if inner.starts_with("/*") || inner.starts_with("*/") {
                open = if inner.starts_with("/*") { open + 1 } else { open - 1 };
                self.take(2);
            } else {
                self.take(inner.chars().next().map_or(0, char::len_utf8));
            }
        }
    }

    /// A name, or a text with a prefix (`r#"…"#`, `b"…"`).
    fn name(&mut self) -> Kind {
        let name = self.take(self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len()));
        let hashes = self.rest.bytes().take_while(|byte| *byte == b'#').count();
        let raw = matches!(name, "r" | "br" | "cr");
        if raw && self.rest[hashes..].starts_with('"') {
            self.take(hashes + 1);
            let end = format!("\"{}", "#".repeat(hashes));
            let text = self.take(self.rest.find(&end).unwrap_or(self.rest.len()));
            self.take(end.len().min(self.rest.len()));
            return Kind::Text(text.to_owned());
        }
        if matches!(name, "b" | "c") && self.rest.starts_with('"') {
            return self.text();
        }
        Kind::Name(name.to_owned())
    }

    fn text(&mut self) -> Kind {
        self.take(1);
        let mut escaped = false;
        let end = self.rest.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let text = self.take(end.unwrap_or(self.rest.len()));
        self.take(1.min(self.rest.len()));
        Kind::Text(text.to_owned())
    }

    /// A character, which is dropped, or the quote of a lifetime.
    fn quote(&mut self) {
        let mut ahead = self.rest.chars().skip(1);
        match (ahead.next(), ahead.next()) {
            (Some('\\'), Some(escape)) => {
                self.take(2 + escape.len_utf8());
                self.take(self.rest.find('\'').map_or(0, |end| end + 1));
            }
            (Some(char), Some('\'')) => self.skip(2 + char.len_utf8()),
            _ => self.skip(1),
        }
    }

    fn number(&mut self) -> Kind {
        let digits = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        // `pair.0.1` is two indices, not the number 0.1
        let index = matches!(self.tokens.last(), Some(Token { kind: Kind::Mark('.'), .. }));
        let whole = self.take(digits(self.rest));
        let radix = ["0x", "0o", "0b"].iter().any(|prefix| whole.starts_with(prefix));
        let exponent = |part: &str| {
            let mut parts = part.splitn(2, ['e', 'E']);
            let number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
            parts.next().is_some_and(number) && parts.next().is_some_and(number)
        };
        let suffix = |part: &str| part.ends_with("f32") || part.ends_with("f64");
        let mut float = !radix && !index && (exponent(whole) || suffix(whole));
        let after = self.rest.strip_prefix('.').map(|rest| rest.chars().next().unwrap_or(' '));
        if let Some(after) = after.filter(|after| !index && !radix && !after.is_alphabetic() && !matches!(after, '.' | '_')) {
            float = true;
            self.take(1);
            if after.is_ascii_digit() {
                self.take(digits(self.rest));
            }
        }
        Kind::Number { float }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        File::new("src/x.rs", text).paths().iter().map(|path| path.names.join("::")).collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        assert_eq!(
            paths("use crate::{store::{Reader, self as s}, units::*};\nuse std::fs as files;"),
            ["use", "crate::store::Reader", "crate::store::self", "crate::units::*", "use", "std::fs", "as", "files"]
        );
    }

    #[test]
    fn comments_texts_and_characters_hold_no_paths() {
        assert_eq!(paths("// crate::a\n/* crate::b /* x */ crate::c */ '\"' 'a' \"crate::d\" r#\"crate::\"e\"#"), [""; 0]);
        assert_eq!(paths("fn f<'a>(x: &'a str) -> '\\'' { y::z(b'x') }"), ["fn", "f", "a", "x", "a", "str", "y::z", "b"]);
    }

    #[test]
    fn lines_and_inline_modules_are_counted() {
        let file = File::new("src/x.rs", "mod tests {\n    use super::a; \n}\nuse self::b;");
        let found: Vec<_> = file.paths().iter().map(|path| (path.line, path.depth, path.names.join("::"))).collect();
        assert!(found.contains(&(2, 1, "super::a".to_owned())), "{found:?}");
        assert!(found.contains(&(4, 0, "self::b".to_owned())), "{found:?}");
    }

    #[test]
    fn floats_are_told_from_integers_ranges_and_indices() {
        for (text, float) in [
            ("1.5", true),
            ("2.", true),
            ("1e3", true),
            ("1f64", true),
            ("1_000usize", false),
            ("0x1e3", false),
            ("0..120", false),
            ("1.max(2)", false),
            ("pair.0.1", false),
            ("\"1.5\"", false),
        ] {
            assert_eq!(File::new("src/x.rs", text).floats().count(), usize::from(float), "{text}");
        }
    }

    #[test]
    fn files_know_their_module() {
        for (path, module) in [
            ("src/ocpp/v16/mod.rs", vec!["ocpp", "v16"]),
            ("src/clock.rs", vec!["clock"]),
            ("src/lib.rs", vec![]),
            ("simulators/src/bin/demo.rs", vec!["bin", "demo"]),
        ] {
            assert_eq!(File::new(path, "").module(), module);
        }
    }
}

//! No import circle inside a module.
//!
//! The files of a module are the knots of a graph; a file points to each file of its module whose items it names, in `use` or in
//! code, wherever the name passes through (`super::Thing` means the file that declares `Thing`). A `mod.rs` is a file as the others,
//! but to pass names on (`pub use`) is no use of them. Tests may name what they test.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{File, Import, Written};
use super::{Breach, breach};

const WHY: &str =
    "files in a circle can only be read, changed and tested together; move what both need into a third, or join them";

type Module = Vec<String>;
/// From file to file, and the line that says so.
type Edges = BTreeMap<Module, BTreeMap<Module, usize>>;

struct Graph<'a> {
    files: BTreeMap<Module, &'a File>,
    /// What a file imports or passes on, by name: where it comes from.
    names: BTreeMap<(Module, String), Module>,
}

/// The circles among the files of each module, one breach each.
pub fn circles(files: &[File]) -> Vec<Breach> {
    let own =
        |file: &&File| file.path.starts_with("src/") && !file.module().contains(&"tests") && !file.path.ends_with("_tests.rs");
    let files: BTreeMap<Module, &File> = files.iter().filter(own).map(|file| (module(file), file)).collect();
    let mut graph = Graph { files, names: BTreeMap::new() };
    let paths: Vec<(Module, Written)> = graph
        .files
        .iter()
        .flat_map(|(module, file)| file.paths().into_iter().map(|path| (module.clone(), path)))
        .filter(|(_, path)| path.depth == 0)
        .collect();
    for (module, path) in &paths {
        if let (Some(_), Some(target), Some(name)) = (path.import, graph.absolute(module, path), path.names.last()) {
            graph.names.insert((module.clone(), name.clone()), target);
        }
    }
    let mut edges = Edges::new();
    for (module, path) in paths.iter().filter(|(_, path)| path.import != Some(Import::Public)) {
        let target = graph.absolute(module, path).and_then(|target| graph.declares(&target, 8));
        let Some(target) = target.filter(|target| target != module && target.first() == module.first()) else { continue };
        edges.entry(module.clone()).or_default().entry(target).or_insert(path.line);
    }
    found(&graph, edges)
}

fn module(file: &File) -> Module {
    file.module().into_iter().map(str::to_owned).collect()
}

impl Graph<'_> {
    /// A path from the crate's root, when it is one of ours.
    fn absolute(&self, module: &Module, path: &Written) -> Option<Module> {
        let names = &path.names;
        let rest = |skip: usize| names.iter().skip(skip).filter(|name| *name != "self").cloned();
        let supers = names.iter().take_while(|name| *name == "super").count();
        match path.first() {
            _ if path.global => None,
            "crate" => Some(rest(1).collect()),
            // `pub(super)`
            "super" if supers == names.len() => None,
            "super" => Some(module.iter().take(module.len().checked_sub(supers)?).cloned().chain(rest(supers)).collect()),
            "self" => Some(module.iter().cloned().chain(rest(1)).collect()),
            // A name alone is a variable, or the `mod` that declares the file.
            _ if names.len() < 2 && path.import.is_none() => None,
            child => {
                let child: Module = module.iter().cloned().chain([child.to_owned()]).collect();
                self.files.contains_key(&child).then(|| child.into_iter().chain(rest(1)).collect())
            }
        }
    }

    /// The file that declares what a path names, through those that pass it on.
    fn declares(&self, path: &Module, patience: usize) -> Option<Module> {
        let length = (1..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (file, rest) = (path[..length].to_vec(), &path[length..]);
        let from = rest.first().and_then(|name| self.names.get(&(file.clone(), name.clone())));
        match from.filter(|from| patience > 0 && *from != path) {
            Some(from) => self.declares(from, patience - 1).or(Some(file)),
            None => Some(file),
        }
    }
}

/// Each set of files that all lead to each other.
fn found(graph: &Graph<'_>, edges: Edges) -> Vec<Breach> {
    let reached = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(next) = open.pop() {
            let targets = edges.get(&next).into_iter().flat_map(BTreeMap::keys);
            open.extend(targets.filter(|target| seen.insert((*target).clone())).cloned());
        }
        seen
    };
    let all: BTreeMap<&Module, BTreeSet<Module>> = edges.keys().map(|file| (file, reached(file))).collect();
    let mut told = BTreeSet::new();
    let mut breaches = Vec::new();
    for (file, seen) in all.iter().filter(|(file, seen)| seen.contains(**file)) {
        let circle: BTreeSet<&Module> =
            seen.iter().filter(|other| all.get(other).is_some_and(|back| back.contains(*file))).collect();
        if told.contains(*file) {
            continue;
        }
        told.extend(circle.iter().map(|file| (*file).clone()));
        let inside = |from: &Module| {
            let targets = edges.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to));
            targets.map(|(to, line)| format!("{} \u{2192} {} (line {line})", from.join("::"), to.join("::"))).collect::<Vec<_>>()
        };
        let what = format!("import circle: {}", circle.iter().flat_map(|from| inside(from)).collect::<Vec<_>>().join(", "));
        let line = edges.get(*file).and_then(|targets| targets.values().next()).copied().unwrap_or(1);
        breaches.extend(graph.files.get(*file).map(|source| breach(source, line, what, WHY)));
    }
    breaches
}

//! The grammar of `forecourt station reset CP-1` and its like: it follows from the table of verbs.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command as Grammar, FromArgMatches, Subcommand};

use crate::ocpp::verb::{self, Kind, Verb, verbs};

/// Of one message, by default.
const TIMEOUT_S: &str = "30";

/// A verb and its arguments as they were given.
#[derive(Clone, Debug)]
pub struct Given {
    pub verb: &'static Verb,
    pub station: String,
    pub args: BTreeMap<String, Vec<String>>,
    pub timeout_s: u64,
    pub reason: String,
}

impl Given {
    fn of(name: &str, matches: &ArgMatches) -> Option<Self> {
        let verb = verb::find(name)?;
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let mut args = BTreeMap::new();
        for arg in verb.args {
            if arg.kind == Kind::Flag {
                if matches.get_flag(arg.name) {
                    args.insert(arg.name.to_owned(), Vec::new());
                }
            } else if let Some(values) = matches.get_many::<String>(arg.name) {
                args.insert(arg.name.to_owned(), values.cloned().collect());
            }
        }
        let timeout_s = *matches.get_one::<u64>("timeout")?;
        Some(Self { verb, station: text("station")?, args, timeout_s, reason: text("reason")? })
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.subcommand().and_then(|(first, below)| match below.subcommand() {
            Some((second, matches)) => Self::of(&format!("{first} {second}"), matches),
            None => Self::of(first, below),
        });
        given.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Given {
    fn augment_subcommands(grammar: Grammar) -> Grammar {
        let mut groups: Vec<(&'static str, Grammar)> = Vec::new();
        let mut grammar = grammar;
        for verb in verbs() {
            match verb.name.split_once(' ') {
                None => grammar = grammar.subcommand(of_verb(verb, verb.name)),
                Some((first, second)) => {
                    let below = of_verb(verb, second);
                    match groups.iter_mut().find(|(name, _)| *name == first) {
                        Some((_, group)) => *group = std::mem::take(group).subcommand(below),
                        None => {
                            let about = verbs().filter(|verb| verb.name.starts_with(&format!("{first} ")));
                            let words: Vec<&str> = about.filter_map(|verb| verb.name.split(' ').nth(1)).collect();
                            let group = Grammar::new(first).about(words.join(", "));
                            groups.push((first, group.subcommand_required(true).arg_required_else_help(true).subcommand(below)));
                        }
                    }
                }
            }
        }
        groups.into_iter().fold(grammar, |grammar, (_, group)| grammar.subcommand(group))
    }

    fn augment_subcommands_for_update(grammar: Grammar) -> Grammar {
        Self::augment_subcommands(grammar)
    }

    fn has_subcommand(name: &str) -> bool {
        verbs().any(|verb| verb.name == name || verb.name.starts_with(&format!("{name} ")))
    }
}

fn of_verb(verb: &'static Verb, name: &'static str) -> Grammar {
    let id = Arg::new("station").value_name("ID").required(true).help("Identity of the station");
    let timeout = Arg::new("timeout").long("timeout").value_name("S").default_value(TIMEOUT_S);
    let timeout = timeout.value_parser(clap::value_parser!(u64)).help("Seconds until the answer to a message");
    let reason = Arg::new("reason").long("reason").value_name("TEXT").default_value("");
    let reason = reason.help("Why; kept with the call and in the audit").hide_default_value(true);
    let args = verb.args.iter().map(|arg| {
        let one = Arg::new(arg.name).help(arg.about);
        match arg.kind {
            Kind::Flag => one.long(arg.name).action(ArgAction::SetTrue),
            Kind::Option => one.long(arg.name).value_name(arg.value).allow_hyphen_values(true),
            Kind::NeededOption => one.long(arg.name).value_name(arg.value).required(true).allow_hyphen_values(true),
            Kind::File if arg.name == "file" => one.value_name(arg.value).required(true),
            Kind::File => one.long(arg.name).value_name(arg.value),
            Kind::Needed | Kind::Token => one.value_name(arg.value).required(true).allow_hyphen_values(true),
            Kind::Many => one.value_name(arg.value).required(true).num_args(1..),
            Kind::Optional | Kind::Session => one.value_name(arg.value),
        }
    });
    Grammar::new(name).about(verb.about).arg(id).args(args).arg(timeout).arg(reason)
}

//! The mail templates: built in, replaceable one file at a time, all rendered once before anything is sent.
//!
//! ```text
//! templates/
//!     layout.mjml               the frame of every HTML mail, with blocks to fill; it becomes layout.html at the start
//!     layout.txt                the frame of every text
//!     en/base.html              extends "layout.html" with what each mail of the language says
//!     en/base.txt               extends "layout.txt" likewise
//!     en/order_paid.subject.txt
//!     en/order_paid.txt         extends "en/base.txt"
//!     en/order_paid.html        extends "en/base.html"
//!     de/…  es/…  fr/…  ja/…
//! ```
//!
//! A file of the same name under `TEMPLATES_DIR` takes the built-in one's place, and a folder there with all of a
//! notice's files adds a language for it. MJML is compiled once, with the placeholders still in it.
//!
//! A notice becomes a mail by its row in `catalogue::MAILS` and its files. No other line changes.

mod catalogue;
mod samples;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use thiserror::Error;

use crate::notices::Kind;
use catalogue::{BASES, MAILS, RENEWED, stem, stems};
use samples::samples;

pub(super) use catalogue::told_to_the_shop;
pub use catalogue::{Audience, audience};

/// The language that stands in for one that a mail doesn't exist in.
const FALLBACK: &str = "en";
const LAYOUT: &str = "layout.mjml";
const TEXT_LAYOUT: &str = "layout.txt";
const COMPILED_LAYOUT: &str = "layout.html";

/// What a mail is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The subject.
    Subject,
    /// The text part.
    Text,
    /// The HTML part.
    Html,
}

impl Part {
    const ALL: [Self; 3] = [Self::Subject, Self::Text, Self::Html];

    fn file(self, locale: &str, stem: &str) -> String {
        let ending = match self {
            Self::Subject => "subject.txt",
            Self::Text => "txt",
            Self::Html => "html",
        };
        format!("{locale}/{stem}.{ending}")
    }
}

/// What is wrong with the templates.
#[derive(Debug, Error)]
pub enum TemplatesError {
    /// The directory, or a file in it, can't be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file that stands for nothing: most likely its name is mistyped.
    #[error("{0}: no template has this name")]
    Stray(String),
    /// A language that lacks one of a notice's files.
    #[error("{0} is missing: a language has all files of a notice, or none")]
    Missing(String),
    /// The layout is no MJML.
    #[error("layout.mjml: {0}")]
    Mjml(String),
    /// A template can't be read or rendered.
    #[error("{file}:{line}: {reason}")]
    Broken {
        /// The file.
        file: String,
        /// The line; in `layout.html`, of the HTML that `layout.mjml` becomes.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A subject has no text, or more than one line.
    #[error("{0}: a subject is one line of text")]
    Subject(String),
}

impl From<minijinja::Error> for TemplatesError {
    fn from(error: minijinja::Error) -> Self {
        // Inside a layout's block the cause is the innermost error, and it knows its own file.
        let mut innermost = &error;
        while let Some(cause) = std::error::Error::source(innermost).and_then(|cause| cause.downcast_ref()) {
            innermost = cause;
        }
        let kind = innermost.kind();
        Self::Broken {
            file: innermost.name().or(error.name()).unwrap_or("a template").to_owned(),
            line: innermost.line().or(error.line()).unwrap_or_default(),
            reason: innermost.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
        }
    }
}

/// All templates, in all languages.
pub struct Templates {
    environment: Environment<'static>,
    /// The languages of each mail, by its stem.
    locales: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Templates {
    /// Reads the built-in templates and those of `dir` over them, and renders each with sample data, so that a
    /// broken one is found here and not by a customer.
    pub fn load(dir: Option<&Path>) -> Result<Self, TemplatesError> {
        let mut sources = built_in();
        if let Some(dir) = dir {
            sources.extend(overlay(dir)?);
        }
        let locales = locales(&sources)?;
        let templates = Self { environment: environment(sources)?, locales };
        templates.check()?;
        Ok(templates)
    }

    /// The languages in which there is a mail about the notice, by their tags.
    pub fn locales(&self, notice: &Kind) -> impl Iterator<Item = &str> {
        stem(notice, false).and_then(|stem| self.locales.get(stem)).into_iter().flatten().map(String::as_str)
    }

    /// The language of the notice's mail for somebody whose locale is `wanted`: that one, its base language, or English.
    pub fn locale(&self, notice: &Kind, renewal: bool, wanted: Option<&str>) -> &str {
        let wanted = wanted.unwrap_or(FALLBACK).replace('_', "-").to_ascii_lowercase();
        let base = wanted.split('-').next().unwrap_or_default();
        let all = stem(notice, renewal).and_then(|stem| self.locales.get(stem));
        let all = all.into_iter().flatten().map(String::as_str);
        let found = |tag: &str| all.clone().find(|locale| locale.eq_ignore_ascii_case(tag));
        found(&wanted).or_else(|| found(base)).unwrap_or(FALLBACK)
    }

    /// One part of the notice's mail.
    pub fn render(
        &self,
        notice: &Kind,
        renewal: bool,
        locale: &str,
        part: Part,
        values: &Value,
    ) -> anyhow::Result<String> {
        let stem = stem(notice, renewal).ok_or_else(|| anyhow::anyhow!("there is no mail about {}", notice.name()))?;
        Ok(self.rendered(&part.file(locale, stem), values)?)
    }

    /// A mail as its reader would see it, with sample data: subject, text and HTML.
    pub fn preview(&self, notice: &Kind, locale: Option<&str>) -> anyhow::Result<[String; 3]> {
        let full = self.previews(notice, locale)?.into_iter().next().map(|(_, mail)| mail);
        full.ok_or_else(|| anyhow::anyhow!("there is no mail about {}", notice.name()))
    }

    /// The same in each case that the mail has words for, each with its name: the first has all that there can be, the
    /// second as little as there can be.
    pub fn previews(&self, notice: &Kind, locale: Option<&str>) -> anyhow::Result<Vec<(&'static str, [String; 3])>> {
        let locale = self.locale(notice, false, locale);
        let preview = |(name, values): (&'static str, Value)| -> anyhow::Result<_> {
            let [subject, text, html] = Part::ALL.map(|part| self.render(notice, false, locale, part, &values));
            Ok((name, [subject?, text?, html?]))
        };
        samples(stem(notice, false).unwrap_or_default(), locale).into_iter().map(preview).collect()
    }

    /// Whether there is any mail in that language.
    pub fn has_language(&self, locale: &str) -> bool {
        let wanted = locale.replace('_', "-").to_ascii_lowercase();
        let base = wanted.split('-').next().unwrap_or_default();
        let is_it = |known: &String| known.eq_ignore_ascii_case(&wanted) || known.eq_ignore_ascii_case(base);
        self.locales.values().flatten().any(is_it)
    }

    fn check(&self) -> Result<(), TemplatesError> {
        for (stem, locales) in &self.locales {
            let cases = locales.iter().flat_map(|l| samples(stem, l).into_iter().map(move |(_, values)| (l, values)));
            for (locale, values) in cases {
                // The layout's own source first: an error there bears the line that a person can look up.
                self.rendered(LAYOUT, &values)?;
                for part in Part::ALL {
                    let file = part.file(locale, stem);
                    let text = self.rendered(&file, &values)?;
                    if part == Part::Subject && (text.trim().is_empty() || text.trim().contains('\n')) {
                        return Err(TemplatesError::Subject(file));
                    }
                }
            }
        }
        Ok(())
    }

    fn rendered(&self, file: &str, values: &Value) -> Result<String, TemplatesError> {
        Ok(self.environment.get_template(file)?.render(values)?)
    }
}

fn built_in() -> BTreeMap<String, String> {
    let layout = catalogue::LAYOUT_FILE;
    let files = MAILS.iter().flat_map(|(.., files)| files.iter()).chain(RENEWED.1).chain(BASES);
    files.chain([&layout]).map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect()
}

/// The files of the operator's directory: the layout, and one folder a language.
fn overlay(dir: &Path) -> Result<BTreeMap<String, String>, TemplatesError> {
    let mut files = BTreeMap::new();
    for (name, path) in entries(dir)? {
        if !path.is_dir() {
            files.insert(name, path);
            continue;
        }
        for (file, path) in entries(&path)? {
            files.insert(format!("{name}/{file}"), path);
        }
    }
    files
        .into_iter()
        .map(|(name, path)| if is_template(&name) { read(name, path) } else { Err(TemplatesError::Stray(name)) })
        .collect()
}

fn read(name: String, path: PathBuf) -> Result<(String, String), TemplatesError> {
    match fs::read_to_string(&path) {
        Ok(source) => Ok((name, source)),
        Err(error) => Err(TemplatesError::Read { path, error }),
    }
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, TemplatesError> {
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = listed.map_err(|error| TemplatesError::Read { path: dir.to_owned(), error })?;
    let named = entries.into_iter().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    // Editors and file managers leave hidden files; they are nobody's template.
    Ok(named.filter(|(name, _)| !name.starts_with('.')).collect())
}

fn is_template(name: &str) -> bool {
    let Some((locale, file)) = name.split_once('/') else { return name == LAYOUT || name == TEXT_LAYOUT };
    let is_base = ["base.html", "base.txt", "reasons.txt"].contains(&file);
    is_base || stems().any(|stem| Part::ALL.iter().any(|part| part.file(locale, stem) == name))
}

/// The languages of each mail: those that have all of its files.
fn locales(sources: &BTreeMap<String, String>) -> Result<BTreeMap<&'static str, BTreeSet<String>>, TemplatesError> {
    let folders: BTreeSet<&str> = sources.keys().filter_map(|name| Some(name.split_once('/')?.0)).collect();
    let mut locales: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (locale, stem) in folders.iter().flat_map(|locale| stems().map(move |stem| (*locale, stem))) {
        let files = Part::ALL.map(|part| part.file(locale, stem));
        let missing: Vec<&String> = files.iter().filter(|file| !sources.contains_key(*file)).collect();
        match missing[..] {
            [] => drop(locales.entry(stem).or_default().insert(locale.to_owned())),
            [_, _, _] => {}
            [first, ..] => return Err(TemplatesError::Missing(first.clone())),
        }
    }
    Ok(locales)
}

fn environment(sources: BTreeMap<String, String>) -> Result<Environment<'static>, TemplatesError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A tag on a line of its own leaves no empty line.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax?);
    environment.set_auto_escape_callback(|name| if is_markup(name) { AutoEscape::Html } else { AutoEscape::None });
    for (name, source) in sources {
        if name == LAYOUT {
            environment.add_template_owned(name, source.clone())?;
            environment.add_template_owned(COMPILED_LAYOUT, compiled(&source)?)?;
        } else {
            environment.add_template_owned(name, source)?;
        }
    }
    Ok(environment)
}

fn is_markup(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "html" || ending == "mjml")
}

/// The layout as HTML, its placeholders untouched.
fn compiled(mjml: &str) -> Result<String, TemplatesError> {
    let parsed = mrml::parse(mjml).map_err(|error| TemplatesError::Mjml(error.to_string()))?;
    // By default known fonts are fetched from elsewhere when the mail is opened.
    let options = mrml::prelude::render::RenderOptions { fonts: HashMap::new(), ..Default::default() };
    parsed.element.render(&options).map_err(|error| TemplatesError::Mjml(error.to_string()))
}

#[cfg(test)]
#[path = "templates_tests.rs"]
mod tests;

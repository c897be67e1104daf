//! What the README, or a guide beside it, says: commands to type, files to write, answers to expect.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What begins and ends a block.
const FENCE: &str = "```";
/// How a paragraph begins that adds to a file instead of writing it anew.
const ADDS: &str = "Add ";

/// The README, or a guide.
pub(crate) struct Page(Vec<Block>);

/// A paragraph of prose, or what stands between two fences.
enum Block {
    Prose(String),
    Fenced { language: String, text: String },
}

/// What a newcomer does with a block.
pub(crate) enum Part<'a> {
    /// Types a line.
    Line(&'a str),
    /// Compares a sample with what the last line said.
    Sample(&'a str),
    /// Writes a file.
    File(File<'a>),
}

/// A file, named first in the paragraph above its text.
pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// Whether the text is added to what is there.
    pub(crate) is_more: bool,
}

impl Page {
    pub(crate) fn read() -> Self {
        Self::of("README.md")
    }

    /// A page of the workspace, by its name.
    pub(crate) fn of(name: &str) -> Self {
        let text = fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self(blocks(&text))
    }

    /// The files that a page writes, in its order.
    pub(crate) fn files(&self) -> impl Iterator<Item = File<'_>> {
        self.parts().filter_map(|part| if let Part::File(file) = part { Some(file) } else { None })
    }

    /// What there is to do, in its order. A sample follows a command; other pictures in text are for the reader alone.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut above = "";
        let mut is_answer = false;
        self.0.iter().flat_map(move |block| match block {
            Block::Prose(text) => {
                above = text;
                is_answer &= !text.starts_with('#');
                Vec::new()
            }
            Block::Fenced { language, text } => match language.as_str() {
                "sh" => {
                    is_answer = true;
                    text.lines().map(Part::Line).collect()
                }
                "toml" | "rust" => vec![Part::File(File { name: first_name(above), text, is_more: above.starts_with(ADDS) })],
                "text" if is_answer => vec![Part::Sample(text)],
                "text" | "yaml" => Vec::new(),
                other => panic!("what is to be done with a block of {other:?}?"),
            },
        })
    }

    /// The commands that stand within sentences.
    pub(crate) fn mentioned(&self) -> impl Iterator<Item = &str> {
        let prose = self.0.iter().filter_map(|block| if let Block::Prose(text) = block { Some(text) } else { None });
        let spans = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
        spans.filter(|span| ["cargo ", "watchpost "].iter().any(|program| span.starts_with(program)))
    }

    /// What stands first in each row of the table whose head begins so, without its backticks.
    pub(crate) fn first_cells(&self, head: &str) -> impl Iterator<Item = &str> {
        let tables = self.0.iter().filter_map(move |block| match block {
            Block::Prose(text) if text.starts_with(head) => Some(text),
            _ => None,
        });
        let rows = tables.flat_map(|table| table.lines().skip(2));
        rows.filter_map(|row| row.split('`').nth(1))
    }

    /// The text of the only block in a language.
    pub(crate) fn fenced(&self, wanted: &str) -> &str {
        let texts = self.0.iter().filter_map(|block| match block {
            Block::Fenced { language, text } if language == wanted => Some(text.as_str()),
            _ => None,
        });
        let [text] = texts.collect::<Vec<_>>()[..] else { panic!("not one block of {wanted}") };
        text
    }
}

/// The folder that holds the README.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is a part of the workspace").to_owned()
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut lines) = (Vec::new(), text.lines());
    let mut prose = String::new();
    while let Some(line) = lines.next() {
        let language = line.strip_prefix(FENCE);
        if language.is_none() && !line.is_empty() {
            prose = prose + line + "\n";
            continue;
        }
        if !prose.is_empty() {
            blocks.push(Block::Prose(std::mem::take(&mut prose)));
        }
        if let Some(language) = language {
            let text = lines.by_ref().take_while(|line| *line != FENCE).map(|line| line.to_owned() + "\n").collect();
            blocks.push(Block::Fenced { language: language.to_owned(), text });
        }
    }
    blocks
}

fn first_name(paragraph: &str) -> &str {
    paragraph.split('`').nth(1).unwrap_or_else(|| panic!("no file is named in {paragraph:?}"))
}

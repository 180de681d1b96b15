//! The events of a file, one by one, in memory that does not grow with it.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use alluvium_core::limits;
use alluvium_ingest::replay::FileFormat;
use alluvium_ingest::{EventSource as _, Replay, ReplaySettings};
use anyhow::Context as _;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde_json::Value;

/// Lines that are no JSON.
#[derive(Debug, Default)]
pub struct Unreadable {
    pub count: u64,
    /// The first one's number and what is wrong with it.
    pub first: Option<(u64, String)>,
}

/// Hands over each event of a file: of each line, of an array (its items), of each row of a CSV file. Lines that are no JSON are
/// counted.
pub fn each(file: &Path, mut take: impl FnMut(&Value)) -> anyhow::Result<Unreadable> {
    if file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        rows(file, take)?;
        return Ok(Unreadable::default());
    }
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?)
    };
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let unreadable = || format!("cannot read {}", file.display());
    let first = first_byte(&mut input).with_context(unreadable)?;
    if first == Some(b'[') {
        let mut whole = serde_json::Deserializer::from_reader(input);
        Each(&mut take).deserialize(&mut whole).and_then(|()| whole.end()).with_context(unreadable)?;
        return Ok(Unreadable::default());
    }
    lines(input, take).with_context(unreadable)
}

/// The first byte that is not white space, which is left unread.
fn first_byte(input: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blank < buffer.len() || buffer.is_empty() {
            return Ok(buffer.get(blank).copied());
        }
        input.consume(blank);
    }
}

fn lines(mut input: impl BufRead, mut take: impl FnMut(&Value)) -> anyhow::Result<Unreadable> {
    let mut unreadable = Unreadable::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let most = limits::EVENT_BYTES as u64 + 2;
        if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let mut problem = None;
        if line.len() as u64 == most && !line.ends_with(b"\n") {
            problem = Some(format!("longer than {} bytes, the most that an event may have", limits::EVENT_BYTES));
            input.skip_until(b'\n')?;
        } else if !line.trim_ascii().is_empty() {
            let mut text = serde_json::Deserializer::from_slice(line.trim_ascii_end());
            let mut events = Vec::new();
            let read = Each(&mut |event: &Value| events.push(event.clone())).deserialize(&mut text);
            match read.and_then(|()| text.end()) {
                Ok(()) => events.iter().for_each(&mut take),
                Err(error) => problem = Some(in_words(&error)),
            }
        }
        if let Some(problem) = problem {
            unreadable.count += 1;
            unreadable.first.get_or_insert((number, problem));
        }
    }
    Ok(unreadable)
}

/// What is wrong with a line, without the line's number that the library sees: it sees one line at a time.
fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("{what} (column {})", error.column())
}

fn rows(file: &Path, mut take: impl FnMut(&Value)) -> anyhow::Result<()> {
    let settings = ReplaySettings { format: Some(FileFormat::Csv), ..ReplaySettings::default() };
    let mut replay = Replay::open(&[file.to_owned()], &settings)?;
    let mut event = Vec::new();
    while replay.next_into(&mut event)?.is_some() {
        take(&serde_json::from_slice(&event).with_context(|| format!("{}: a row as JSON", file.display()))?);
        event.clear();
    }
    Ok(())
}

/// Hands over a value, or the items of an array one by one.
struct Each<'a, F>(&'a mut F);

impl<'de, F: FnMut(&Value)> DeserializeSeed<'de> for Each<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&Value)> Visitor<'de> for Each<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object, or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Value>()? {
            (self.0)(&item);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        (self.0)(&Value::deserialize(MapAccessDeserializer::new(members))?);
        Ok(())
    }
}

//! The folder of reports: a file `NAME.sql` each.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use alluvium_core::report::FILE_BYTES;
use alluvium_core::{Report, ReportName};

use crate::sql::DataFusionSql;
use alluvium_core::ports::Statement;

/// The most reports of one node. Our own: they run one at a time.
const REPORTS: usize = 100;

/// A file of the folder, and the report that it declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The file's name without its ending.
    pub name: String,
    /// The report, or what is wrong with the file: its path, the line and what would be right.
    pub report: Result<Report, String>,
}

/// Reads every `*.sql` of a folder, by name. A file that is wrong keeps none of the others back.
///
/// # Errors
///
/// When the folder cannot be read, or has more than 100 reports.
pub fn load(folder: &Path) -> io::Result<Vec<Definition>> {
    let unreadable = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<PathBuf>>>();
    let mut files = files.map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    if files.len() > REPORTS {
        let count = files.len();
        return Err(io::Error::other(format!(
            "{}: it has {count} reports, more than the {REPORTS} allowed",
            folder.display()
        )));
    }
    Ok(files.iter().map(|path| read(path)).collect())
}

/// Reads one file.
pub fn read(path: &Path) -> Definition {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let report = text(path)
        .and_then(|text| Ok((ReportName::new(&name).map_err(|error| error.to_string())?, text)))
        .map_err(|problem| format!("{}: {problem}", path.display()))
        .and_then(|(name, text)| Report::parse(name, &text).map_err(|error| format!("{}: {error}", path.display())));
    Definition { name, report }
}

fn text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    // One byte more than allowed is enough for the reader to refuse it.
    file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Has the engine read each report's statement, which finds what is no SQL and what names no table: such a report is broken.
pub async fn check(definitions: &mut [Definition], engine: &DataFusionSql) {
    for definition in definitions {
        let Ok(report) = &definition.report else { continue };
        let statement = report.statement(report.windows.at(0));
        if let Err(error) = engine.check(&Statement::new(statement)).await {
            definition.report = Err(format!("the statement of `{}` cannot be run: {}", definition.name, error.message));
        }
    }
}

//! Every dataset of one program: the built-in ones and those of a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Dataset, DatasetName, DatasetNameError, SchemaError};

/// The schemas that ship with the program, by dataset.
const BUILT_IN: [(&str, &str); 2] = [
    ("data", include_str!("../../../datasets/data.json")),
    ("telemetry", include_str!("../../../datasets/telemetry.json")),
];

/// Every dataset that a program knows, by name, and the one for events that name none.
#[derive(Debug, Clone, Default)]
pub struct Datasets {
    by_name: BTreeMap<DatasetName, Arc<Dataset>>,
    by_type: BTreeMap<String, Arc<Dataset>>,
    default: Option<Arc<Dataset>>,
}

/// Why a set of datasets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetsError {
    /// One schema is wrong.
    #[error("{file}: {source}")]
    Schema {
        /// The schema's file, or the name of a built-in dataset.
        file: String,
        /// What is wrong with it.
        source: SchemaError,
    },
    /// A file's stem is no name for a dataset.
    #[error("{file}: {source}")]
    Name {
        /// The schema's file.
        file: String,
        /// What is wrong with its name.
        source: DatasetNameError,
    },
    /// The folder or a file in it cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// The folder or file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Two datasets claim the same event type.
    #[error(
        "event type `{event_type}` routes to both `{first}` and `{second}`; keep it in `x-alluvium.types` of one of them"
    )]
    TypeClaimedTwice {
        /// The type.
        event_type: String,
        /// The dataset that claimed it first, in the order of names.
        first: DatasetName,
        /// The other.
        second: DatasetName,
    },
    /// The default names no dataset.
    #[error("default_dataset `{0}` names no dataset; known: {1}")]
    UnknownDefault(String, String),
}

impl Datasets {
    /// The built-in datasets, and those of a folder's `*.json` files on top: a file named like a built-in one replaces it.
    ///
    /// # Errors
    ///
    /// When the folder or a file in it cannot be read, a schema is wrong, two datasets claim one event type, or
    /// `default_dataset` names none of them.
    pub fn load(folder: Option<&Path>, default_dataset: Option<&str>) -> Result<Self, DatasetsError> {
        let mut by_name = BTreeMap::new();
        for (name, schema) in BUILT_IN {
            let dataset = compile_file(name, name, schema)?;
            by_name.insert(dataset.name.clone(), dataset);
        }
        for path in folder.map(schema_files).transpose()?.unwrap_or_default() {
            let file = path.display().to_string();
            let schema = std::fs::read_to_string(&path)
                .map_err(|source| DatasetsError::Unreadable { file: file.clone(), source })?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let dataset = compile_file(&file, &stem, &schema)?;
            by_name.insert(dataset.name.clone(), dataset);
        }
        Self::from_map(by_name, default_dataset)
    }

    /// A set of these datasets alone.
    ///
    /// # Errors
    ///
    /// When two of them claim one event type, or `default_dataset` names none of them.
    pub fn of(
        datasets: impl IntoIterator<Item = Dataset>,
        default_dataset: Option<&str>,
    ) -> Result<Self, DatasetsError> {
        let by_name = datasets.into_iter().map(|dataset| (dataset.name.clone(), Arc::new(dataset))).collect();
        Self::from_map(by_name, default_dataset)
    }

    fn from_map(
        by_name: BTreeMap<DatasetName, Arc<Dataset>>,
        default_dataset: Option<&str>,
    ) -> Result<Self, DatasetsError> {
        let mut by_type: BTreeMap<String, Arc<Dataset>> = BTreeMap::new();
        for dataset in by_name.values() {
            for event_type in &dataset.types {
                if let Some(first) = by_type.insert(event_type.clone(), dataset.clone()) {
                    return Err(DatasetsError::TypeClaimedTwice {
                        event_type: event_type.clone(),
                        first: first.name.clone(),
                        second: dataset.name.clone(),
                    });
                }
            }
        }
        let default = match default_dataset {
            None => None,
            Some(name) => Some(by_name.get(name).cloned().ok_or_else(|| {
                let known: Vec<_> = by_name.keys().map(DatasetName::as_str).collect();
                DatasetsError::UnknownDefault(name.to_owned(), known.join(", "))
            })?),
        };
        Ok(Self { by_name, by_type, default })
    }

    /// The dataset of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Dataset>> {
        self.by_name.get(name)
    }

    /// The dataset that an event of this type goes to when its record has no route.
    pub fn for_type(&self, event_type: &str) -> Option<&Arc<Dataset>> {
        self.by_type.get(event_type)
    }

    /// The dataset of events that neither a route nor their type sends anywhere.
    pub fn default_dataset(&self) -> Option<&Arc<Dataset>> {
        self.default.as_ref()
    }

    /// Every dataset, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Dataset>> {
        self.by_name.values()
    }

    /// The names, for a message that lists them.
    pub fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(DatasetName::as_str).collect()
    }
}

fn compile_file(file: &str, stem: &str, schema: &str) -> Result<Arc<Dataset>, DatasetsError> {
    let name = DatasetName::new(stem).map_err(|source| DatasetsError::Name { file: file.to_owned(), source })?;
    let dataset =
        Dataset::from_schema(name, schema).map_err(|source| DatasetsError::Schema { file: file.to_owned(), source })?;
    Ok(Arc::new(dataset))
}

fn schema_files(folder: &Path) -> Result<Vec<std::path::PathBuf>, DatasetsError> {
    let unreadable = |source| DatasetsError::Unreadable { file: folder.display().to_string(), source };
    let mut files = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(unreadable)?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

//! AFP's configuration as AFP read it: every `*.yaml` of a directory, in lexical order, merged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, Scalar, ScanError, Yaml};

/// A file of AFP's that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum YamlError {
    /// The directory or file cannot be opened.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is no YAML.
    #[error("{} is no YAML", .path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: Box<ScanError>,
    },
    /// There is no such file in the directory.
    #[error("{} has no *.yaml", .0.display())]
    Nothing(PathBuf),
}

/// A value, all its scalars as texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Nothing,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Node {
    /// What a directory says.
    pub(super) fn of_directory(directory: &Path) -> Result<Self, YamlError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| YamlError::Unreadable { path, source }
        };
        let entries = fs::read_dir(directory).map_err(unreadable(directory))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable(directory))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(YamlError::Nothing(directory.to_owned()));
        }
        files.sort();
        let mut whole = Self::Nothing;
        for file in files {
            let text = fs::read_to_string(&file).map_err(unreadable(&file))?;
            let documents = parse(&text).map_err(|source| YamlError::Malformed {
                path: file,
                source: Box::new(source),
            })?;
            for document in documents {
                whole.merge(document);
            }
        }
        Ok(whole)
    }

    /// Maps are merged, lists go on, and of all else the later one counts.
    fn merge(&mut self, later: Self) {
        match (self, later) {
            (_, Self::Nothing) => {}
            (Self::Map(own), Self::Map(later)) => {
                for (key, value) in later {
                    match own.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, known)) => known.merge(value),
                        None => own.push((key, value)),
                    }
                }
            }
            (Self::List(own), Self::List(later)) => own.extend(later),
            (Self::List(own), later) => own.push(later),
            (own, later) => *own = later,
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Self::Text(text) => Some(text),
            Self::Nothing | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The texts of a key: of a list, or the only one.
    pub(super) fn texts(&self, key: &str) -> Vec<&str> {
        let all = match self.get(key) {
            Some(Self::List(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let texts = all.iter().filter_map(|node| match node {
            Self::Text(text) => Some(text.as_str()),
            Self::Nothing | Self::List(_) | Self::Map(_) => None,
        });
        texts.collect()
    }

    /// What a map holds, in order.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            Self::Nothing | Self::Text(_) | Self::List(_) => &[],
        }
    }
}

fn parse(text: &str) -> Result<Vec<Node>, ScanError> {
    Ok(Yaml::load_from_str(text)?.iter().map(node).collect())
}

fn node(yaml: &Yaml<'_>) -> Node {
    match yaml {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Node::Nothing,
            Scalar::Boolean(flag) => Node::Text(flag.to_string()),
            Scalar::Integer(number) => Node::Text(number.to_string()),
            Scalar::FloatingPoint(number) => Node::Text(number.to_string()),
            Scalar::String(text) => Node::Text(text.clone().into_owned()),
        },
        Yaml::Sequence(list) => Node::List(list.iter().map(node).collect()),
        Yaml::Mapping(map) => Node::Map(
            map.iter()
                .filter_map(|(key, value)| match node(key) {
                    Node::Text(key) => Some((key, node(value))),
                    Node::Nothing | Node::List(_) | Node::Map(_) => None,
                })
                .collect(),
        ),
        Yaml::Tagged(_, inner) => node(inner),
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => Node::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn files_are_merged_in_order() {
        let directory = directory(&[
            (
                "b.yaml",
                "prod: {id: '012345678901'}\nlist: [c]\nname: 'later'\n",
            ),
            (
                "a.yaml",
                "prod: {id: 1, more: x}\nlist: [a, b]\nname: first\n",
            ),
            ("c.yaml", "list: d\n"),
            ("e.yaml", "# nothing\n"),
            ("d.yml", "prod: {id: 2}\n"),
        ]);
        let node = Node::of_directory(directory.path()).unwrap();
        let prod = node.get("prod").unwrap();
        assert_eq!(prod.text("id"), Some("012345678901"));
        assert_eq!(prod.text("more"), Some("x"));
        assert_eq!(node.texts("list"), ["a", "b", "c", "d"]);
        assert_eq!(node.text("name"), Some("later"));
        assert_eq!(node.texts("name"), ["later"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let failure = |path: &Path| Node::of_directory(path).unwrap_err().to_string();
        let empty = failure(directory(&[]).path());
        assert!(empty.ends_with("has no *.yaml"), "{empty}");
        let broken = failure(directory(&[("a.yaml", "a: [b\n")]).path());
        assert!(broken.ends_with("a.yaml is no YAML"), "{broken}");
        let missing = failure(Path::new("/no/such/place"));
        assert_eq!(missing, "/no/such/place cannot be read");
    }
}

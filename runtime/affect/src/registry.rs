//! The label spaces that exist: the built-in ones and a bundle's own.

use std::sync::{Arc, OnceLock};

use crate::{Error, ErrorKind, LabelSpace, Result};

static BUILTIN: OnceLock<LabelSpaces> = OnceLock::new();

/// Label spaces by id.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSpaces {
    spaces: Vec<Arc<LabelSpace>>,
}

impl LabelSpaces {
    /// The built-in spaces: `ferplus8`, `ravdess8`, `ekman7`, `goemotions28`, `sentiment2`, `sentiment3` and
    /// `face_presence`.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the data is part of the crate, and a test reads it"
    )]
    pub fn builtin() -> &'static Self {
        BUILTIN.get_or_init(|| {
            let spaces: Vec<Arc<LabelSpace>> =
                limbic_json::from_slice::<Vec<LabelSpace>>(include_bytes!("../data/label_spaces.json"))
                    .expect("the built-in label spaces are valid")
                    .into_iter()
                    .map(Arc::new)
                    .collect();
            Self { spaces }
        })
    }

    /// The built-in spaces and a bundle's own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidLabelSpace`] when an id stands twice, or is a built-in one with other content.
    pub fn with_own(own: &[LabelSpace]) -> Result<Self> {
        let mut all = Self::builtin().clone();
        let builtin = all.spaces.len();
        for space in own {
            let known = all.spaces.iter().position(|other| other.id() == space.id());
            match known {
                None => all.spaces.push(Arc::new(space.clone())),
                Some(at) if at < builtin && all.spaces.get(at).is_some_and(|other| **other == *space) => {}
                Some(at) => {
                    let detail = if at < builtin {
                        "has the id of a built-in space but other content: give it an id of its own"
                    } else {
                        "stands there twice"
                    };
                    return Err(Error::new(ErrorKind::InvalidLabelSpace, space.id(), detail));
                }
            }
        }
        Ok(all)
    }

    /// The space of that id.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownLabelSpace`], with the ids that exist.
    pub fn by_id(&self, id: &str) -> Result<&Arc<LabelSpace>> {
        self.spaces.iter().find(|space| space.id() == id).ok_or_else(|| {
            let ids: Vec<&str> = self.iter().map(LabelSpace::id).collect();
            Error::new(
                ErrorKind::UnknownLabelSpace,
                id,
                format!("not known, there are: {}", ids.join(", ")),
            )
        })
    }

    /// All spaces, the built-in ones first.
    pub fn iter(&self) -> impl Iterator<Item = &LabelSpace> {
        self.spaces.iter().map(AsRef::as_ref)
    }
}

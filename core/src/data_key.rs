//! The keys of a session's data.

use core::{borrow::Borrow, cmp::Ordering};

/// The key of a value. An edit and what it changed have one each, and most are short: those need no allocation.
#[derive(Clone)]
pub(crate) enum DataKey {
    Inline { bytes: [u8; Self::INLINE], len: u8 },
    Long(Box<[u8]>),
}

impl DataKey {
    const INLINE: usize = 22;

    pub(crate) fn new(key: &str) -> Self {
        let mut bytes = [0; Self::INLINE];
        match bytes.get_mut(..key.len()) {
            Some(place) => {
                place.copy_from_slice(key.as_bytes());
                Self::Inline { bytes, len: key.len() as u8 }
            }
            None => Self::Long(key.as_bytes().into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { bytes, len } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }
}

/// Ordered as their bytes are, so that one is found by those.
impl Borrow<[u8]> for DataKey {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Eq for DataKey {}

impl PartialEq for DataKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Ord for DataKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for DataKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_key_is_what_it_was_made_of_and_stands_where_its_text_stands() {
        let long = "k".repeat(DataKey::INLINE - 1);
        let ends = ["", "a", "z", "za", "\u{e9}", "zz\u{e9}", "zzz"];
        let mut texts: Vec<String> = ends.iter().flat_map(|end| [end.to_string(), format!("{long}{end}")]).collect();
        texts.push("k".repeat(300));
        let kept: BTreeMap<DataKey, &String> = texts.iter().map(|text| (DataKey::new(text), text)).collect();
        assert!(kept.values().is_sorted());
        for text in &texts {
            assert_eq!(kept.get(text.as_bytes()), Some(&text));
            let key = DataKey::new(text);
            assert_eq!((key.as_bytes(), key.len()), (text.as_bytes(), text.len()));
            assert_eq!(matches!(key, DataKey::Inline { .. }), text.len() <= DataKey::INLINE);
            for other in &texts {
                assert_eq!(key.cmp(&DataKey::new(other)), text.cmp(other));
                assert_eq!(key == DataKey::new(other), text == other);
            }
        }
        assert_eq!(size_of::<DataKey>(), 24);
    }
}

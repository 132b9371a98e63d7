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
    use super::*;

    #[test]
    fn keys_of_every_length_are_what_they_were_made_of_and_in_order() {
        let texts: Vec<String> = (0..60).map(|len| "k".repeat(len)).collect();
        for text in &texts {
            let key = DataKey::new(text);
            assert_eq!((key.as_bytes(), key.len()), (text.as_bytes(), text.len()));
            assert_eq!(matches!(key, DataKey::Inline { .. }), text.len() <= DataKey::INLINE);
            for other in &texts {
                assert_eq!(key.cmp(&DataKey::new(other)), text.cmp(other));
                assert_eq!(key == DataKey::new(other), text == other);
            }
        }
        assert_eq!(size_of::<DataKey>(), size_of::<String>());
    }
}

//! Lists in messages: a slice to encode, or bytes to walk over.

use std::fmt;

use crate::{
    DecodeError, EncodeError,
    registry::{Field, Shape},
    v2::{
        FieldWriter, Fields,
        fields::{append_item, mask},
    },
    varint,
};

/// What a list is made of.
///
/// Implemented here only: its methods work on types that only this crate makes.
pub trait Item<'a>: Copy {
    /// The field of the list.
    const LIST: Field;

    /// The fields of an item.
    const FIELDS: &'static [Field] = match Self::LIST.shape {
        Shape::List { item, .. } => item,
        _ => panic!("the field is a list"),
    };

    /// How many items a list may have.
    const ITEMS_MAX: usize = match Self::LIST.shape {
        Shape::List { items_max: Some(max), .. } => max,
        _ => usize::MAX,
    };

    /// Builds the item from its fields.
    ///
    /// # Errors
    ///
    /// A field is missing or not of its type.
    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError>;

    /// Appends the item's fields.
    ///
    /// # Errors
    ///
    /// A text is over the limit of its field.
    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError>;
}

/// A list: a slice of the caller's, or the bytes of a frame, which are checked once and decoded as
/// they are walked over. Two lists are equal when their items are.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Slice(&'a [T]),
    /// Every item of it has been decoded once without an error.
    Encoded(&'a [u8]),
}

impl<'a, T: Item<'a>> List<'a, T> {
    /// A list to encode.
    #[must_use]
    pub const fn new(items: &'a [T]) -> Self {
        Self(Source::Slice(items))
    }

    /// The items, in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }

    /// Decodes every item once. Nothing is allocated, so a long list costs no more than its frame.
    pub(super) fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        let encoded = fields.list(&T::LIST);
        let mut rest = encoded;
        let mut items = 0;
        while !rest.is_empty() {
            if items == T::ITEMS_MAX {
                let (number, items_max) = (T::LIST.number, T::ITEMS_MAX);
                return Err(DecodeError::TooManyItems { number, items_max });
            }
            read_item::<T>(&mut rest)?;
            items += 1;
        }
        Ok(Self(Source::Encoded(encoded)))
    }

    pub(super) fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.list(&T::LIST, |out| match self.0 {
            Source::Slice(items) if items.len() > T::ITEMS_MAX => Err(EncodeError::TooManyItems {
                field: T::LIST.name,
                items: items.len(),
                items_max: T::ITEMS_MAX,
            }),
            Source::Slice(items) => {
                items.iter().try_for_each(|item| append_item(out, |fields| item.write(fields)))
            }
            Source::Encoded(bytes) => {
                wipe::append(out, bytes);
                Ok(())
            }
        })
    }
}

impl<'a, T: Item<'a>> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Item<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Item<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Walks over a [`List`].
#[derive(Clone)]
pub struct ListIter<'a, T>(Source<'a, T>);

impl<'a, T: Item<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Source::Slice(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
            Source::Encoded([]) => None,
            Source::Encoded(rest) => {
                let item = read_item(rest);
                debug_assert!(item.is_ok(), "the list was checked when it was decoded");
                item.ok()
            }
        }
    }
}

fn read_item<'a, T: Item<'a>>(rest: &mut &'a [u8]) -> Result<T, DecodeError> {
    let mut fields = Fields::NONE;
    fields.read(varint::take_prefixed(rest)?, const { mask(T::FIELDS) })?;
    T::read(&fields)
}

//! PRODUCTS: a session check that brings a list along.

use std::fmt;

use super::CheckSessionReply;
use crate::{
    DecodeError, EncodeError, Secret, buffer,
    limits::CURRENCY_BYTES,
    registry::{
        self,
        products::{self, item},
        session,
    },
    v2::{
        FieldWriter, Fields, Message, MessageType, ReplyMessage, RequestMessage,
        fields::{append_item, mask},
    },
    varint,
};

/// Lists the products, for a live session. Changes nothing, so it may be sent again freely.
#[derive(Debug, Clone, Copy)]
pub struct Products<'a> {
    /// As the user sent it.
    pub token: Secret<'a>,
}

/// The session is alive; the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductsReply<'a> {
    /// The session that the token is for, with its lease.
    pub session: CheckSessionReply<'a>,
    /// The products.
    pub products: ProductList<'a>,
    /// How long the list may be reused, for every user; 0 means not at all.
    pub products_fresh_ms: u32,
}

/// One product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product<'a> {
    /// Its number.
    pub id: u64,
    /// Its name, at most [`PRODUCT_NAME_BYTES_MAX`](crate::limits::PRODUCT_NAME_BYTES_MAX) bytes.
    pub name: &'a str,
    /// What it is, at most
    /// [`PRODUCT_DESCRIPTION_BYTES_MAX`](crate::limits::PRODUCT_DESCRIPTION_BYTES_MAX) bytes.
    pub description: &'a str,
    /// Its price in the currency's minor unit, such as cents.
    pub price_minor: u64,
    /// The currency of the price.
    pub currency: Currency<'a>,
}

/// A currency's alphabetic code in the form of ISO 4217, such as `EUR`. Which codes are in use is
/// not checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency<'a>(&'a str);

impl<'a> Currency<'a> {
    /// A code; `None` unless it is three upper-case ASCII letters.
    ///
    /// # Examples
    ///
    /// ```
    /// use framing::v2::Currency;
    /// assert!(Currency::new("EUR").is_some());
    /// assert!(Currency::new("eur").is_none());
    /// ```
    #[must_use]
    pub fn new(code: &'a str) -> Option<Self> {
        let well_formed =
            code.len() == CURRENCY_BYTES && code.bytes().all(|byte| byte.is_ascii_uppercase());
        well_formed.then_some(Self(code))
    }

    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Currency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A list of products: a slice of the caller's, or the bytes of a frame, which are checked once and
/// decoded as they are walked over. Two lists are equal when their products are.
#[derive(Clone, Copy)]
pub struct ProductList<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Slice(&'a [Product<'a>]),
    /// Every item of it has been decoded once without an error.
    Encoded(&'a [u8]),
}

impl<'a> ProductList<'a> {
    /// A list to encode.
    #[must_use]
    pub const fn new(products: &'a [Product<'a>]) -> Self {
        Self(Source::Slice(products))
    }

    /// The products, in order.
    #[must_use]
    pub fn iter(&self) -> ProductIter<'a> {
        ProductIter(self.0)
    }

    fn check(encoded: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = encoded;
        while !rest.is_empty() {
            read_item(&mut rest)?;
        }
        Ok(Self(Source::Encoded(encoded)))
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.0 {
            Source::Slice(products) => products
                .iter()
                .try_for_each(|product| append_item(out, |fields| write_item(fields, product))),
            Source::Encoded(bytes) => {
                buffer::append(out, bytes);
                Ok(())
            }
        }
    }
}

impl<'a> IntoIterator for &ProductList<'a> {
    type Item = Product<'a>;
    type IntoIter = ProductIter<'a>;

    fn into_iter(self) -> ProductIter<'a> {
        self.iter()
    }
}

impl PartialEq for ProductList<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ProductList<'_> {}

impl fmt::Debug for ProductList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Walks over a [`ProductList`].
#[derive(Clone)]
pub struct ProductIter<'a>(Source<'a>);

impl<'a> Iterator for ProductIter<'a> {
    type Item = Product<'a>;

    fn next(&mut self) -> Option<Product<'a>> {
        match &mut self.0 {
            Source::Slice(products) => {
                let (first, rest) = products.split_first()?;
                *products = rest;
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

fn read_item<'a>(rest: &mut &'a [u8]) -> Result<Product<'a>, DecodeError> {
    let fields = Fields::read(varint::take_prefixed(rest)?, const { mask(item::FIELDS) })?;
    Ok(Product {
        id: fields.number(&item::ID)?,
        name: fields.text(&item::NAME)?,
        description: fields.text(&item::DESCRIPTION)?,
        price_minor: fields.number(&item::PRICE_MINOR)?,
        currency: fields.currency(&item::CURRENCY)?,
    })
}

fn write_item(out: &mut FieldWriter<'_>, product: &Product<'_>) -> Result<(), EncodeError> {
    out.number(&item::ID, product.id);
    out.text(&item::NAME, product.name)?;
    out.text(&item::DESCRIPTION, product.description)?;
    out.number(&item::PRICE_MINOR, product.price_minor);
    out.text(&item::CURRENCY, product.currency.as_str())
}

impl<'a> RequestMessage<'a> for Products<'a> {}
impl<'a> ReplyMessage<'a> for ProductsReply<'a> {}

impl<'a> Message<'a> for Products<'a> {
    const TYPE: MessageType = MessageType::Products;
    const FIELDS: &'static [registry::Field] = session::REQUEST;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self { token: fields.secret(&session::TOKEN)? })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.secret(&session::TOKEN, self.token)
    }
}

impl<'a> Message<'a> for ProductsReply<'a> {
    const TYPE: MessageType = MessageType::Products;
    const FIELDS: &'static [registry::Field] = products::RESPONSE;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            session: CheckSessionReply::read(fields)?,
            products: ProductList::check(fields.list(&products::PRODUCTS))?,
            products_fresh_ms: fields.number(&products::PRODUCTS_FRESH_MS)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        self.session.write(out)?;
        out.list(&products::PRODUCTS, |out| self.products.write(out))?;
        out.number(&products::PRODUCTS_FRESH_MS, self.products_fresh_ms);
        Ok(())
    }
}

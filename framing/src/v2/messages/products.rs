//! PRODUCTS: a session check that brings a list along.

use super::{
    CheckSessionReply,
    list::{Item, List},
};
use crate::{
    DecodeError, EncodeError, Secret,
    registry::{
        self,
        products::{self, item},
        session,
    },
    v2::{Currency, FieldWriter, Fields, Message, MessageType, ReplyMessage, RequestMessage},
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

/// A list of products.
pub type ProductList<'a> = List<'a, Product<'a>>;

impl<'a> Item<'a> for Product<'a> {
    const LIST: registry::Field = products::PRODUCTS;

    fn read(fields: &Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: fields.number(&item::ID)?,
            name: fields.text(&item::NAME)?,
            description: fields.text(&item::DESCRIPTION)?,
            price_minor: fields.number(&item::PRICE_MINOR)?,
            currency: fields.currency(&item::CURRENCY)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        out.number(&item::ID, self.id);
        out.text(&item::NAME, self.name)?;
        out.text(&item::DESCRIPTION, self.description)?;
        out.number(&item::PRICE_MINOR, self.price_minor);
        out.text(&item::CURRENCY, self.currency.as_str())
    }
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
            products: List::read(fields)?,
            products_fresh_ms: fields.number(&products::PRODUCTS_FRESH_MS)?,
        })
    }

    fn write(&self, out: &mut FieldWriter<'_>) -> Result<(), EncodeError> {
        self.session.write(out)?;
        self.products.write(out)?;
        out.number(&products::PRODUCTS_FRESH_MS, self.products_fresh_ms);
        Ok(())
    }
}

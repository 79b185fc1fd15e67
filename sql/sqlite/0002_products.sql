-- The product list, and a few rows so that a first run shows something.
--
-- Prices are whole minor units (cents) beside an ISO 4217 code: a floating-point price cannot hold 0.10.
-- No index but the key: the list is read whole.

CREATE TABLE product (
    id          INTEGER PRIMARY KEY NOT NULL CHECK (id >= 0),
    name        TEXT NOT NULL CHECK (length(name) <= 255),
    description TEXT NOT NULL CHECK (length(description) <= 1000),
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    currency    TEXT NOT NULL CHECK (length(currency) = 3)
) STRICT;

INSERT INTO product (id, name, description, price_minor, currency) VALUES
    (1, 'Field notebook', 'Ninety-six dotted pages, thread-bound, lies flat.', 1250, 'EUR'),
    (2, 'Brass key ring', 'Solid brass, holds up to eight keys.', 1890, 'EUR'),
    (3, 'Enamel mug', 'Three decilitres, fit for a campfire.', 1490, 'EUR'),
    (4, 'Wool blanket', 'Undyed wool, 130 by 180 centimetres.', 8900, 'EUR');

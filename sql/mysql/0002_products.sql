-- The product list, and a few rows so that a first run shows something.
--
-- Prices are whole minor units (cents) beside an ISO 4217 code: a floating-point price cannot hold 0.10.
-- No index but the key: the list is read whole.
--
-- The sample rows leave alone what is already there: a shop may have changed them when this file is run
-- again after a crash.

CREATE TABLE IF NOT EXISTS product (
    id          BIGINT UNSIGNED NOT NULL,
    name        VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    description VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    price_minor BIGINT UNSIGNED NOT NULL,
    currency    CHAR(3) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;

INSERT INTO product (id, name, description, price_minor, currency) VALUES
    (1, 'Field notebook', 'Ninety-six dotted pages, thread-bound, lies flat.', 1250, 'EUR'),
    (2, 'Brass key ring', 'Solid brass, holds up to eight keys.', 1890, 'EUR'),
    (3, 'Enamel mug', 'Three decilitres, fit for a campfire.', 1490, 'EUR'),
    (4, 'Wool blanket', 'Undyed wool, 130 by 180 centimetres.', 8900, 'EUR')
ON DUPLICATE KEY UPDATE id = product.id;

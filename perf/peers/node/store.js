// Users and sessions in SQLite or MariaDB.

import Database from 'better-sqlite3';
import mysql from 'mysql2/promise';

export async function openStore(url) {
  return url.startsWith('sqlite:') ? new SqliteStore(url.slice('sqlite:'.length)) : new MysqlStore(url);
}

const PRODUCTS = [
  [1, 'Field notebook', 'Ninety-six dotted pages, thread-bound, lies flat.', 1250, 'EUR'],
  [2, 'Brass key ring', 'Solid brass, holds up to eight keys.', 1890, 'EUR'],
  [3, 'Enamel mug', 'Three decilitres, fit for a campfire.', 1490, 'EUR'],
  [4, 'Wool blanket', 'Undyed wool, 130 by 180 centimetres.', 8900, 'EUR'],
];

const SQL = {
  products: 'SELECT id, name, description, price_minor, currency FROM product ORDER BY id',
  insertProduct: 'INTO product (id, name, description, price_minor, currency) VALUES (?, ?, ?, ?, ?)',
  insertUser: 'INSERT INTO user (username, password_hash, name, age, created_at_ms) VALUES (?, ?, ?, ?, ?)',
  findUser: 'SELECT id, password_hash FROM user WHERE username = ?',
  insertSession: 'INSERT INTO session (token_digest, user_id, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?)',
  sessionIsLive: 'SELECT user_id FROM session WHERE token_digest = ? AND expires_at_ms > ?',
  endSession: 'DELETE FROM session WHERE token_digest = ? AND expires_at_ms > ?',
};

const asText = (products) => products.map((product) => ({ ...product, id: String(product.id) }));

// better-sqlite3 is synchronous by design: its documentation has one connection and prepared statements.
class SqliteStore {
  constructor(file) {
    this.db = new Database(file, { timeout: 5000 });
    this.db.pragma('journal_mode = WAL');
    this.db.pragma('synchronous = FULL');
    this.statements = {};
  }

  prepared(name) {
    return (this.statements[name] ??= this.db.prepare(SQL[name]));
  }

  async migrate() {
    this.db.exec(`
      CREATE TABLE IF NOT EXISTS user (
        id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
        name TEXT, age INTEGER, created_at_ms INTEGER NOT NULL) STRICT;
      CREATE TABLE IF NOT EXISTS session (
        token_digest BLOB PRIMARY KEY, user_id INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS product (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
        price_minor INTEGER NOT NULL, currency TEXT NOT NULL) STRICT;`);
    const insert = this.db.prepare(`INSERT OR IGNORE ${SQL.insertProduct}`);
    for (const product of PRODUCTS) insert.run(...product);
  }

  async products() {
    return asText(this.prepared('products').all());
  }

  async insertUser(...row) {
    try {
      return this.prepared('insertUser').run(...row).lastInsertRowid;
    } catch (error) {
      if (error.code === 'SQLITE_CONSTRAINT_UNIQUE') return undefined;
      throw error;
    }
  }

  async findUser(username) {
    return this.prepared('findUser').get(username);
  }

  async insertSession(...row) {
    this.prepared('insertSession').run(...row);
  }

  async sessionIsLive(digest, now) {
    return this.prepared('sessionIsLive').get(digest, now) !== undefined;
  }

  async endSession(digest, now) {
    return this.prepared('endSession').run(digest, now).changes === 1;
  }

  async close() {
    this.db.close();
  }
}

// A pool and prepared statements (`execute`), as the documentation of mysql2 has it.
class MysqlStore {
  constructor(uri) {
    this.pool = mysql.createPool({ uri, connectionLimit: 16, queueLimit: 0 });
  }

  async migrate() {
    await this.pool.query(`CREATE TABLE IF NOT EXISTS user (
      id BIGINT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
      password_hash VARCHAR(255) CHARACTER SET ascii NOT NULL, name VARCHAR(255), age TINYINT UNSIGNED,
      created_at_ms BIGINT NOT NULL)`);
    await this.pool.query(`CREATE TABLE IF NOT EXISTS session (
      token_digest BINARY(32) PRIMARY KEY, user_id BIGINT NOT NULL,
      created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL)`);
    await this.pool.query(`CREATE TABLE IF NOT EXISTS product (
      id BIGINT PRIMARY KEY, name VARCHAR(255) NOT NULL, description VARCHAR(1000) NOT NULL,
      price_minor BIGINT NOT NULL, currency CHAR(3) NOT NULL)`);
    for (const product of PRODUCTS) await this.pool.execute(`INSERT IGNORE ${SQL.insertProduct}`, product);
  }

  async products() {
    const [rows] = await this.pool.execute(SQL.products);
    return asText(rows);
  }

  async insertUser(...row) {
    try {
      const [result] = await this.pool.execute(SQL.insertUser, row);
      return result.insertId;
    } catch (error) {
      if (error.code === 'ER_DUP_ENTRY') return undefined;
      throw error;
    }
  }

  async findUser(username) {
    const [rows] = await this.pool.execute(SQL.findUser, [username]);
    return rows[0];
  }

  async insertSession(...row) {
    await this.pool.execute(SQL.insertSession, row);
  }

  async sessionIsLive(digest, now) {
    const [rows] = await this.pool.execute(SQL.sessionIsLive, [digest, now]);
    return rows.length === 1;
  }

  async endSession(digest, now) {
    const [result] = await this.pool.execute(SQL.endSession, [digest, now]);
    return result.affectedRows === 1;
  }

  async close() {
    await this.pool.end();
  }
}

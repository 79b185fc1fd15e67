package main

import (
	"database/sql"
	"errors"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/mattn/go-sqlite3"
)

var (
	errTaken  = errors.New("the name is taken")
	errAbsent = errors.New("there is no such user")
)

const mysqlConnections = 16

type user struct {
	id           int64
	passwordHash string
}

type product struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	PriceMinor  int64  `json:"price_minor"`
	Currency    string `json:"currency"`
}

// store holds statements that were prepared once.
type store struct {
	listProducts, insertUserRow, findUserRow, insertSessionRow, findSession, deleteSession *sql.Stmt
}

// openStore makes the tables too. The two pools are one for MariaDB. For SQLite, which has one writer at a time,
// writes go through a pool of one connection, so that they wait there and not in SQLite's busy handler.
func openStore(storeURL string) (s store, err error) {
	reads, writes, tables, ignore, err := openPools(storeURL)
	if err != nil {
		return s, err
	}
	for _, table := range tables {
		if _, err = writes.Exec(table); err != nil {
			return s, err
		}
	}
	for _, p := range productRows {
		_, err = writes.Exec(ignore+` INTO product (id, name, description, price_minor, currency) VALUES (?, ?, ?, ?, ?)`, p...)
		if err != nil {
			return s, err
		}
	}
	prepare := func(pool *sql.DB, query string) (statement *sql.Stmt) {
		if err == nil {
			statement, err = pool.Prepare(query)
		}
		return statement
	}
	s.listProducts = prepare(reads, `SELECT id, name, description, price_minor, currency FROM product ORDER BY id`)
	s.findUserRow = prepare(reads, `SELECT id, password_hash FROM user WHERE username = ?`)
	s.findSession = prepare(reads, `SELECT user_id FROM session WHERE token_digest = ? AND expires_at_ms > ?`)
	s.insertUserRow = prepare(writes, `INSERT INTO user (username, password_hash, name, age, created_at_ms) VALUES (?, ?, ?, ?, ?)`)
	s.insertSessionRow = prepare(writes, `INSERT INTO session (token_digest, user_id, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?)`)
	s.deleteSession = prepare(writes, `DELETE FROM session WHERE token_digest = ? AND expires_at_ms > ?`)
	return s, err
}

func openPools(storeURL string) (reads, writes *sql.DB, tables []string, ignore string, err error) {
	if file := strings.TrimPrefix(storeURL, "sqlite:"); file != storeURL {
		source := "file:" + file + "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000"
		if writes, err = sql.Open("sqlite3", source); err != nil {
			return
		}
		writes.SetMaxOpenConns(1)
		if reads, err = sql.Open("sqlite3", source); err != nil {
			return
		}
		reads.SetMaxOpenConns(runtime.NumCPU())
		reads.SetMaxIdleConns(runtime.NumCPU())
		return reads, writes, sqliteTables, "INSERT OR IGNORE", nil
	}
	u, err := url.Parse(storeURL)
	if err != nil {
		return
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.DBName = "tcp", u.Host, u.User.Username(), strings.TrimPrefix(u.Path, "/")
	config.Passwd, _ = u.User.Password()
	if reads, err = sql.Open("mysql", config.FormatDSN()); err != nil {
		return
	}
	// As the driver's documentation recommends: an equal number of idle connections, closed after three minutes.
	reads.SetMaxOpenConns(mysqlConnections)
	reads.SetMaxIdleConns(mysqlConnections)
	reads.SetConnMaxLifetime(3 * time.Minute)
	return reads, reads, mysqlTables, "INSERT IGNORE", nil
}

func (s *store) products() (list []product, err error) {
	rows, err := s.listProducts.Query()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p product
		if err := rows.Scan(&p.ID, &p.Name, &p.Description, &p.PriceMinor, &p.Currency); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

func (s *store) insertUser(username, hash string, name *string, age *uint8, now int64) (int64, error) {
	result, err := s.insertUserRow.Exec(username, hash, name, age, now)
	if isDuplicate(err) {
		return 0, errTaken
	}
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

func (s *store) findUser(username string) (u user, err error) {
	err = s.findUserRow.QueryRow(username).Scan(&u.id, &u.passwordHash)
	if errors.Is(err, sql.ErrNoRows) {
		return u, errAbsent
	}
	return u, err
}

func (s *store) insertSession(digest []byte, userID, now, expiresAt int64) error {
	_, err := s.insertSessionRow.Exec(digest, userID, now, expiresAt)
	return err
}

func (s *store) sessionIsLive(digest []byte, now int64) (bool, error) {
	var userID int64
	err := s.findSession.QueryRow(digest, now).Scan(&userID)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *store) endSession(digest []byte, now int64) (bool, error) {
	result, err := s.deleteSession.Exec(digest, now)
	if err != nil {
		return false, err
	}
	count, err := result.RowsAffected()
	return count == 1, err
}

func isDuplicate(err error) bool {
	const duplicateEntry = 1062
	var ofMysql *mysql.MySQLError
	var ofSqlite sqlite3.Error
	return errors.As(err, &ofMysql) && ofMysql.Number == duplicateEntry ||
		errors.As(err, &ofSqlite) && ofSqlite.ExtendedCode == sqlite3.ErrConstraintUnique
}

var productRows = [][]any{
	{1, "Field notebook", "Ninety-six dotted pages, thread-bound, lies flat.", 1250, "EUR"},
	{2, "Brass key ring", "Solid brass, holds up to eight keys.", 1890, "EUR"},
	{3, "Enamel mug", "Three decilitres, fit for a campfire.", 1490, "EUR"},
	{4, "Wool blanket", "Undyed wool, 130 by 180 centimetres.", 8900, "EUR"},
}

var sqliteTables = []string{
	`CREATE TABLE IF NOT EXISTS user (
		id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
		name TEXT, age INTEGER, created_at_ms INTEGER NOT NULL) STRICT`,
	`CREATE TABLE IF NOT EXISTS session (
		token_digest BLOB PRIMARY KEY, user_id INTEGER NOT NULL,
		created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS product (
		id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
		price_minor INTEGER NOT NULL, currency TEXT NOT NULL) STRICT`,
}

var mysqlTables = []string{
	`CREATE TABLE IF NOT EXISTS user (
		id BIGINT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
		password_hash VARCHAR(255) CHARACTER SET ascii NOT NULL, name VARCHAR(255), age TINYINT UNSIGNED,
		created_at_ms BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS session (
		token_digest BINARY(32) PRIMARY KEY, user_id BIGINT NOT NULL,
		created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS product (
		id BIGINT PRIMARY KEY, name VARCHAR(255) NOT NULL, description VARCHAR(1000) NOT NULL,
		price_minor BIGINT NOT NULL, currency CHAR(3) NOT NULL)`,
}

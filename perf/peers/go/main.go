// The Go peer: what a user would write with net/http, database/sql and golang.org/x/crypto/argon2.
//
//	go_peer HOST:PORT sqlite:FILE|mysql://USER@HOST:PORT/DATABASE
//
// ARGON2 (m=19456,t=2,p=1) is the strength. Prints `ready http://HOST:PORT`. See ../README.md.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	sessionLifetime = 12 * time.Hour
	bodyBytesMax    = 64 << 10
)

var usernameRule = regexp.MustCompile(`^[a-z][a-z0-9._-]{2,31}$`)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("go_peer HOST:PORT sqlite:FILE|mysql://USER@HOST:PORT/DATABASE")
	}
	words := os.Getenv("ARGON2")
	if words == "" {
		words = "m=19456,t=2,p=1"
	}
	strength, err := parseStrength(words)
	check(err)
	store, err := openStore(os.Args[2])
	check(err)
	list, err := store.products()
	check(err)
	// Read once and kept as text.
	products, err := json.Marshal(map[string]any{"products": list})
	check(err)
	s := &server{store: store, products: products, hasher: hasher{strength, make(chan struct{}, runtime.NumCPU())}}

	mux := http.NewServeMux()
	mux.HandleFunc("/open_api/v1/register", only(http.MethodPost, s.register))
	mux.HandleFunc("/open_api/v1/authenticate", only(http.MethodPost, s.authenticate))
	mux.HandleFunc("/open_api/v1/products", only(http.MethodGet, s.viewProducts))
	mux.HandleFunc("/open_api/v1/logout", only(http.MethodPost, s.logout))

	listener, err := net.Listen("tcp", os.Args[1])
	check(err)
	fmt.Printf("ready http://%s\n", listener.Addr())
	check(http.Serve(listener, mux))
}

type server struct {
	store    store
	hasher   hasher
	products []byte
}

type credentials struct {
	Username string  `json:"username"`
	Password string  `json:"password"`
	Name     *string `json:"name"`
	Age      *uint8  `json:"age"`
}

func (s *server) register(w http.ResponseWriter, r *http.Request) {
	c, ok := readCredentials(w, r)
	if !ok {
		return
	}
	length := utf8.RuneCountInString(c.Password)
	if !usernameRule.MatchString(c.Username) || length < 8 || length > 128 || (c.Name != nil && len(*c.Name) > 255) {
		problem(w, http.StatusBadRequest, "naming_convention", "The username or password breaks a rule.")
		return
	}
	id, err := s.store.insertUser(c.Username, s.hasher.hash(c.Password), c.Name, c.Age, time.Now().UnixMilli())
	switch {
	case errors.Is(err, errTaken):
		problem(w, http.StatusConflict, "username_taken", "The name is taken.")
	case err != nil:
		internal(w, err)
	default:
		answer(w, map[string]string{"user_id": strconv.FormatInt(id, 10)})
	}
}

func (s *server) authenticate(w http.ResponseWriter, r *http.Request) {
	c, ok := readCredentials(w, r)
	if !ok {
		return
	}
	user, err := s.store.findUser(c.Username)
	if errors.Is(err, errAbsent) {
		problem(w, http.StatusNotFound, "no_such_user", "There is no such user.")
		return
	}
	if err != nil {
		internal(w, err)
		return
	}
	matches, err := s.hasher.verify(user.passwordHash, c.Password)
	if err != nil {
		internal(w, err)
		return
	}
	if !matches {
		problem(w, http.StatusUnauthorized, "wrong_password", "The password is wrong.")
		return
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		internal(w, err)
		return
	}
	digest, now := sha256.Sum256(secret), time.Now()
	err = s.store.insertSession(digest[:], user.id, now.UnixMilli(), now.Add(sessionLifetime).UnixMilli())
	if err != nil {
		internal(w, err)
		return
	}
	answer(w, map[string]any{
		"token":      base64.RawURLEncoding.EncodeToString(secret),
		"expires_in": int(sessionLifetime.Seconds()),
	})
}

func (s *server) viewProducts(w http.ResponseWriter, r *http.Request) {
	live := false
	if digest := digestOfToken(r); digest != nil {
		var err error
		if live, err = s.store.sessionIsLive(digest, time.Now().UnixMilli()); err != nil {
			internal(w, err)
			return
		}
	}
	if !live {
		notLive(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.products)
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	ended := false
	if digest := digestOfToken(r); digest != nil {
		var err error
		if ended, err = s.store.endSession(digest, time.Now().UnixMilli()); err != nil {
			internal(w, err)
			return
		}
	}
	if !ended {
		notLive(w)
		return
	}
	answer(w, struct{}{})
}

func only(method string, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "Another method is needed.")
			return
		}
		handler(w, r)
	}
}

func readCredentials(w http.ResponseWriter, r *http.Request) (c credentials, ok bool) {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyBytesMax)).Decode(&c)
	if err != nil || c.Username == "" || c.Password == "" {
		problem(w, http.StatusBadRequest, "bad_request", "The body is not what was expected.")
		return c, false
	}
	c.Username = strings.ToLower(c.Username)
	return c, true
}

// digestOfToken is nil when there is no token.
func digestOfToken(r *http.Request) []byte {
	header := r.Header.Get("Authorization")
	token := strings.TrimPrefix(header, "Bearer ")
	if token == header {
		return nil
	}
	secret, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(secret) != 32 {
		return nil
	}
	digest := sha256.Sum256(secret)
	return digest[:]
}

func answer(w http.ResponseWriter, content any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(content)
}

func notLive(w http.ResponseWriter) {
	problem(w, http.StatusUnauthorized, "session_not_live", "The token is of no live session.")
}

func internal(w http.ResponseWriter, err error) {
	log.Print(err)
	problem(w, http.StatusInternalServerError, "internal", "The request was not served.")
}

func problem(w http.ResponseWriter, status int, code, title string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": "/problems/" + code, "title": title, "status": status, "detail": title,
	})
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

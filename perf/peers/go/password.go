package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltBytes = 16
	tagBytes  = 32
)

type strength struct {
	memory, passes uint32
	lanes          uint8
}

func parseStrength(words string) (s strength, err error) {
	_, err = fmt.Sscanf(words, "m=%d,t=%d,p=%d", &s.memory, &s.passes, &s.lanes)
	return s, err
}

// hasher runs as many hashes at a time as there are cores: more would only take memory.
type hasher struct {
	strength strength
	permits  chan struct{}
}

func (h *hasher) key(password string, salt []byte, s strength, length int) []byte {
	h.permits <- struct{}{}
	defer func() { <-h.permits }()
	return argon2.IDKey([]byte(password), salt, s.passes, s.memory, s.lanes, uint32(length))
}

func (h *hasher) hash(password string) string {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		panic(err)
	}
	s, encode := h.strength, base64.RawStdEncoding.EncodeToString
	tag := h.key(password, salt, s, tagBytes)
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", s.memory, s.passes, s.lanes, encode(salt), encode(tag))
}

func (h *hasher) verify(record, password string) (bool, error) {
	parts := strings.Split(record, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return false, fmt.Errorf("not a record of argon2id")
	}
	s, err := parseStrength(parts[3])
	if err != nil {
		return false, err
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, err
	}
	expected, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.key(password, salt, s, len(expected)), expected) == 1, nil
}

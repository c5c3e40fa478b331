package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"byline/internal/fault"
)

// SecretFileName is the file of the data directory that holds the generated key.
const SecretFileName = "secret_key"

// minSecret is the least length of a key in bytes, as the table says for SECRET_KEY.
const minSecret = 32

// NewSecret makes a key: 48 random bytes as 64 characters.
func NewSecret() string {
	var b [48]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// SigningKey is the key that signs access tokens: SECRET_KEY, or the one of the data directory.
func (c *Config) SigningKey() ([]byte, error) {
	if c.Accounts.SecretKey != "" {
		return []byte(c.Accounts.SecretKey), nil
	}
	return SecretKey(c.Storage.Data)
}

// SecretKey reads the key of a data directory and makes it, readable by its owner only, when there is none. Of several
// processes that do so at once, all get the same one. A key that is there is never replaced: every session would end.
func SecretKey(dataDir string) ([]byte, error) {
	path := filepath.Join(dataDir, SecretFileName)
	key, err := readSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := writeSecret(dataDir, path); err != nil {
		return nil, fault.New(fault.Internal, "secret_key", "The secret key cannot be made in %s: %s. Make the directory writable or set SECRET_KEY.", dataDir, reason(err)).Because(err)
	}
	return readSecret(path)
}

func readSecret(path string) ([]byte, error) {
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "secret_key", "The secret key %s cannot be read: %s. Make it readable, or set SECRET_KEY.", path, reason(err)).Because(err)
	}
	key := strings.TrimSpace(string(data))
	if len(key) < minSecret {
		return nil, fault.New(fault.Internal, "secret_key",
			"The secret key %s is damaged: it has %d bytes of at least %d. Restore it from a backup; or delete it, then a new one is made and everybody must log in again.", path, len(key), minSecret)
	}
	return []byte(key), nil
}

// writeSecret makes the file whole or not at all: a link fails when another process was quicker.
func writeSecret(dataDir, path string) error {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dataDir, "."+SecretFileName+"-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a leftover is harmless
	_, err = fmt.Fprintln(f, NewSecret())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link: %w", err)
	}
	return syncDir(dataDir)
}

// syncDir makes the new name durable. A system that cannot sync directories has nothing to do here.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	d.Sync() //nolint:errcheck // see above
	return d.Close()
}

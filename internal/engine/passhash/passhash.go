// Package passhash hashes passwords, in processes of their own, so that a storm of logins leaves the processor to others.
package passhash

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Method is a way to hash passwords.
type Method string

// The methods.
const (
	Argon2id Method = "argon2id"
	Bcrypt   Method = "bcrypt"
)

// BcryptLimit is how many bytes of a password bcrypt sees.
const BcryptLimit = 72

// Argon2id with 19 MiB, four passes and one lane: twice the work of the first choice of OWASP's password storage cheat sheet, in the same memory.
// A login is rare and may take its 30 ms; that more of them can't be tried in a second is welcome to everybody else.
const (
	argonMemory  = 19 * 1024 // KiB
	argonPasses  = 4
	argonLanes   = 1
	argonKeySize = 32
	saltSize     = 16
	bcryptCost   = 12
)

// ErrDamaged is what a check fails with when the stored hash is none that this package makes.
var ErrDamaged = errors.New("password hash is damaged")

// Hash makes a password's hash with a new salt, in the usual encoding of its method (PHC string, bcrypt's own).
func Hash(m Method, password string) (string, error) {
	if m == Bcrypt {
		b, err := bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
		return string(b), err
	}
	salt := random(saltSize)
	return encodeArgon(salt, argon2.IDKey([]byte(password), salt, argonPasses, argonMemory, argonLanes, argonKeySize)), nil
}

// Check tells whether a password fits a hash of any method.
func Check(encoded, password string) (bool, error) {
	if strings.HasPrefix(encoded, "$2") {
		err := bcrypt.CompareHashAndPassword([]byte(encoded), []byte(password))
		if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) && !errors.Is(err, bcrypt.ErrPasswordTooLong) {
			return false, ErrDamaged
		}
		return err == nil, nil
	}
	a, err := decodeArgon(encoded)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(password), a.salt, a.passes, a.memory, a.lanes, uint32(len(a.key)))
	return subtle.ConstantTimeCompare(got, a.key) == 1, nil
}

// Outdated tells whether a hash was made by another method, or with other costs, than Hash has for m.
func Outdated(m Method, encoded string) bool {
	if m == Bcrypt {
		cost, err := bcrypt.Cost([]byte(encoded))
		return err != nil || cost != bcryptCost
	}
	a, err := decodeArgon(encoded)
	return err != nil || a.memory != argonMemory || a.passes != argonPasses || a.lanes != argonLanes
}

// Decoy is a hash that no password fits and that takes as long to check as a real one.
func Decoy(m Method) string {
	if m == Bcrypt {
		// 22 characters of salt and 31 of hash. The last of each carries fewer than 6 bits; a dot is right in both.
		const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		b := random(53)
		for i := range b {
			b[i] = alphabet[b[i]%64]
		}
		b[21], b[52] = '.', '.'
		return fmt.Sprintf("$2a$%d$%s", bcryptCost, b)
	}
	return encodeArgon(random(saltSize), random(argonKeySize))
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // crypto/rand.Read never fails
	return b
}

// argon is a hash in the form of the reference implementation (PHC string format).
type argon struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

func encodeArgon(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", Argon2id, argon2.Version, argonMemory, argonPasses, argonLanes, b64(salt), b64(key))
}

func decodeArgon(encoded string) (argon, error) {
	var version, memory, passes, lanes int
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != string(Argon2id) {
		return argon{}, ErrDamaged
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil {
		return argon{}, ErrDamaged
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	// The bounds are those of what may be asked of this machine: a row that somebody wrote must not take its memory.
	if err1 != nil || err2 != nil || version != argon2.Version || len(key) < 16 || len(key) > 64 ||
		passes < 1 || passes > 16 || lanes < 1 || lanes > 16 || memory < 8*lanes || memory > 256*1024 {
		return argon{}, ErrDamaged
	}
	return argon{uint32(memory), uint32(passes), uint8(lanes), salt, key}, nil
}

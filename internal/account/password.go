package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"byline/internal/fault"
)

// Argon2id with 19 MiB, two passes and one lane: the first choice of OWASP's password storage cheat sheet.
const (
	argonMemory  = 19 * 1024 // KiB
	argonPasses  = 2
	argonLanes   = 1
	argonKeySize = 32
	saltSize     = 16
	bcryptCost   = 12
	bcryptLimit  = 72 // bytes; bcrypt does not see more
)

// The ways to hash passwords.
const (
	Argon2id = "argon2id"
	Bcrypt   = "bcrypt"
)

// hasher makes and checks password hashes, a few at a time: a hash costs tens of milliseconds and 19 MiB on purpose,
// and a storm of logins must leave processor and memory to other requests.
type hasher struct {
	method string
	slots  chan struct{}
	wait   time.Duration
}

func newHasher(method string) *hasher {
	return &hasher{method: method, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), wait: 2 * time.Second}
}

// enter waits for a slot; after the queue's time it is fault.Unavailable.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	t := time.NewTimer(h.wait)
	defer t.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		e := fault.New(fault.Unavailable, "busy", "Too many logins at once. Try again in a moment.")
		e.RetryAfter = h.wait
		return nil, e
	}
}

func (h *hasher) hash(ctx context.Context, password string) (encoded string, err error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	if h.method == Bcrypt {
		aside(func() {
			var b []byte
			b, err = bcrypt.GenerateFromPassword([]byte(password), bcryptCost)
			encoded = string(b)
		})
		return encoded, err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) //nolint:errcheck // crypto/rand.Read never fails
	return encodeArgon(salt, argonKey(password, salt, argonPasses, argonMemory, argonLanes)), nil
}

// check tells whether the password fits, and whether the hash should be made anew because the configured method is another.
func (h *hasher) check(ctx context.Context, encoded, password string) (ok, outdated bool, err error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	if strings.HasPrefix(encoded, "$2") {
		aside(func() { ok = bcrypt.CompareHashAndPassword([]byte(encoded), []byte(password)) == nil })
		return ok, h.method != Bcrypt, nil
	}
	var version, memory, passes, lanes int
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != Argon2id {
		return false, false, fmt.Errorf("password hash of an unknown form")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil {
		return false, false, fmt.Errorf("read password hash: %w", err)
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || passes < 1 || lanes < 1 || lanes > 255 || memory > 1<<20 {
		return false, false, fmt.Errorf("password hash is damaged")
	}
	got := argonKey(password, salt, uint32(passes), uint32(memory), uint8(lanes))
	ok = subtle.ConstantTimeCompare(got, want) == 1
	return ok, h.method != Argon2id || memory != argonMemory || passes != argonPasses || lanes != argonLanes, nil
}

func argonKey(password string, salt []byte, passes, memory uint32, lanes uint8) (key []byte) {
	aside(func() { key = argon2.IDKey([]byte(password), salt, passes, memory, lanes, argonKeySize) })
	return key
}

// aside runs a computation on a thread of low priority, so that requests that wake up meanwhile need not wait for the end
// of its time slice. The thread ends with it: its priority cannot be raised again.
func aside(compute func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		lowerPriority()
		compute()
	}()
	<-done
}

// encodeArgon writes the hash in the form of the reference implementation (PHC string format).
func encodeArgon(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s", Argon2id, argon2.Version, argonMemory, argonPasses, argonLanes, b64(salt), b64(key))
}

// The bounds of a password, in bytes.
const (
	minPassword = 8
	maxPassword = 1024
)

func (h *hasher) validate(password string) error {
	switch {
	case len(password) < minPassword:
		return fault.Bad("body.password", "password_too_short", "A password has at least %d characters.", minPassword)
	case len(password) > maxPassword:
		return fault.Bad("body.password", "password_too_long", "A password has at most %d bytes.", maxPassword)
	case h.method == Bcrypt && len(password) > bcryptLimit:
		return fault.Bad("body.password", "password_too_long", "With AUTH_PASSWORD_HASH=bcrypt a password has at most %d bytes.", bcryptLimit)
	}
	return nil
}

package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"byline/internal/engine/passhash"
	"byline/internal/fault"
)

// The ways to hash passwords.
const (
	Argon2id = string(passhash.Argon2id)
	Bcrypt   = string(passhash.Bcrypt)
)

// queueTime is how long a login waits for its turn: a hash costs tens of milliseconds on purpose, a few are made at a time,
// and who waits longer in a storm of logins is better told so.
const queueTime = 2 * time.Second

// hasher makes and checks password hashes of one method.
type hasher struct {
	method passhash.Method
	pool   *passhash.Pool
}

func (h *hasher) hash(ctx context.Context, password string) (encoded string, err error) {
	err = queued(ctx, func(ctx context.Context) (err error) {
		encoded, err = h.pool.Hash(ctx, h.method, password)
		return err
	})
	return encoded, err
}

// check tells whether the password fits, and whether the hash should be made anew because the configured method is another.
func (h *hasher) check(ctx context.Context, encoded, password string) (ok, outdated bool, err error) {
	err = queued(ctx, func(ctx context.Context) (err error) {
		ok, err = h.pool.Check(ctx, encoded, password)
		return err
	})
	return ok, passhash.Outdated(h.method, encoded), err
}

// queued gives an action the queue's time; a wait that was longer is fault.Unavailable.
func queued(ctx context.Context, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	err := do(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		e := fault.New(fault.Unavailable, "busy", "Too many logins at once. Try again in a moment.")
		e.RetryAfter = queueTime
		return e
	}
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	return nil
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
	case h.method == passhash.Bcrypt && len(password) > passhash.BcryptLimit:
		return fault.Bad("body.password", "password_too_long", "With AUTH_PASSWORD_HASH=bcrypt a password has at most %d bytes.", passhash.BcryptLimit)
	}
	return nil
}

package store

import (
	"context"

	"byline/internal/account"
	"byline/internal/fault"
)

const (
	keyNoun    = "API key"
	keyColumns = `k.id, k.account_id, k.name, k.prefix, k.hash, k.scope, k.created_at, k.expires_at, k.used_at, k.uses`
)

// keyRow is a key as it is scanned.
type keyRow struct {
	account.Key
	created, expires, used int64
}

func (r *keyRow) fields() []any {
	return []any{&r.ID, &r.UserID, &r.Name, &r.Prefix, &r.Hash, (*string)(&r.Scope), &r.created, &r.expires, &r.used, &r.Uses}
}

func (r *keyRow) key() account.Key {
	r.CreatedAt, r.ExpiresAt, r.UsedAt = timeOf(r.created), timeOf(r.expires), timeOf(r.used)
	return r.Key
}

// AddKey meets account.Keys.
func (s *Store) AddKey(ctx context.Context, k account.Key, most int) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		var id string // held, so that two at once are counted one after the other
		if err := t.row(`SELECT id FROM account WHERE id = ?`+t.forUpdate(), k.UserID).Scan(&id); err != nil {
			return missing(err, accountNoun)
		}
		var n int
		if err := t.row(`SELECT COUNT(*) FROM api_key WHERE account_id = ?`, k.UserID).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return account.ErrKeys
		}
		_, err := t.exec(`INSERT INTO api_key (id, account_id, name, prefix, hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			k.ID, k.UserID, k.Name, k.Prefix, k.Hash, string(k.Scope), micros(k.CreatedAt), micros(k.ExpiresAt))
		return err
	})
}

// AccountKeys meets account.Keys.
func (s *Store) AccountKeys(ctx context.Context, userID string) ([]account.Key, error) {
	return readAll(ctx, s, func(row scanner) (account.Key, error) {
		var r keyRow
		err := row.Scan(r.fields()...)
		return r.key(), err
	}, `SELECT `+keyColumns+` FROM api_key k WHERE k.account_id = ? ORDER BY k.id`, userID)
}

// RemoveKey meets account.Keys.
func (s *Store) RemoveKey(ctx context.Context, userID, id string) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		n, err := t.exec(`DELETE FROM api_key WHERE id = ? AND account_id = ?`, id, userID)
		if err == nil && n == 0 {
			err = fault.Missing(keyNoun)
		}
		return err
	})
}

// KeyOwner meets account.Keys.
func (s *Store) KeyOwner(ctx context.Context, hash string) (k account.Key, u account.User, err error) {
	err = s.read(ctx, func(t *tx) error {
		var r keyRow
		var created int64
		err := t.row(`SELECT `+keyColumns+`, a.id, a.email, a.full_name, a.role, a.workspace, a.password_hash, a.created_at
			FROM api_key k JOIN account a ON a.id = k.account_id WHERE k.hash = ?`, hash).
			Scan(append(r.fields(), &u.ID, &u.Email, &u.FullName, (*string)(&u.Role), (*string)(&u.Workspace), &u.PasswordHash, &created)...)
		k, u.CreatedAt = r.key(), timeOf(created)
		return missing(err, keyNoun)
	})
	return k, u, err
}

// CountUses meets account.Keys.
func (s *Store) CountUses(ctx context.Context, uses map[string]account.Uses) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		for id, u := range uses {
			last := micros(u.Last)
			if _, err := t.exec(`UPDATE api_key SET uses = uses + ?, used_at = CASE WHEN used_at < ? THEN ? ELSE used_at END WHERE id = ?`, u.Count, last, last, id); err != nil {
				return err
			}
		}
		return nil
	})
}

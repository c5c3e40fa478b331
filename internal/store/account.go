package store

import (
	"context"
	"time"

	"byline/internal/account"
	"byline/internal/fault"
	"byline/internal/ident"
)

var _ account.Store = (*Store)(nil)

const (
	accountNoun    = "account"
	accountColumns = `id, email, full_name, role, workspace, password_hash, created_at`
)

// The kinds of workspaces.
const (
	workspaceLocal    = "local" // nobody's yet
	workspacePersonal = "personal"
)

func scanUser(row scanner) (u account.User, err error) {
	var created number
	err = row.Scan(&u.ID, &u.Email, &u.FullName, (*string)(&u.Role), (*string)(&u.Workspace), &u.PasswordHash, &created)
	u.CreatedAt = timeOf(int64(created))
	return u, err
}

// AddUser meets account.Store. The first account gets the local workspace as its personal one, so that no row moves; what
// the command line makes without an account lands there after that too.
func (s *Store) AddUser(ctx context.Context, u account.User, onlyFirst bool) (added account.User, err error) {
	err = s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.lockWorkspace(ident.Local); err != nil { // of two first ones, one waits and is the second
			return err
		}
		others, err := t.exists(`SELECT 1 FROM account LIMIT 1`)
		if err != nil {
			return err
		}
		first := !others
		if onlyFirst && !first {
			return account.ErrNotFirst
		}
		taken, err := t.exists(`SELECT 1 FROM account WHERE email = ?`, u.Email)
		if err != nil {
			return err
		}
		if taken {
			return account.ErrEmailTaken
		}
		if added = u; added.ID == "" {
			added.ID = ident.New()
		}
		if first {
			added.Role, added.Workspace = ident.RoleAdmin, ident.Local
			_, err = t.exec(`UPDATE workspace SET kind = ? WHERE id = ?`, workspacePersonal, ident.Local)
		} else {
			added.Workspace = ident.Workspace(ident.New())
			_, err = t.exec(`INSERT INTO workspace (id, kind, created_at) VALUES (?, ?, ?)`, added.Workspace, workspacePersonal, t.now)
		}
		if err != nil {
			return err
		}
		if added.Role == "" {
			added.Role = ident.RoleMember
		}
		added.CreatedAt = timeOf(t.now)
		_, err = t.exec(`INSERT INTO account (`+accountColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			added.ID, added.Email, added.FullName, added.Role, added.Workspace, added.PasswordHash, t.now)
		return err
	})
	if err != nil {
		return account.User{}, err
	}
	return added, nil
}

// HasUsers meets account.Store.
func (s *Store) HasUsers(ctx context.Context) (has bool, err error) {
	err = s.read(ctx, func(t *tx) error {
		has, err = t.exists(`SELECT 1 FROM account LIMIT 1`)
		return err
	})
	return has, err
}

// User meets account.Store.
func (s *Store) User(ctx context.Context, id string) (account.User, error) {
	return s.user(ctx, `SELECT `+accountColumns+` FROM account WHERE id = ?`, id)
}

// UserByEmail meets account.Store.
func (s *Store) UserByEmail(ctx context.Context, email string) (account.User, error) {
	return s.user(ctx, `SELECT `+accountColumns+` FROM account WHERE email = ?`, email)
}

func (s *Store) user(ctx context.Context, query string, arg string) (u account.User, err error) {
	err = s.read(ctx, func(t *tx) error {
		u, err = scanUser(t.row(query, arg))
		return missing(err, accountNoun)
	})
	return u, err
}

// Users meets account.Store: oldest first.
func (s *Store) Users(ctx context.Context) (list []account.User, err error) {
	err = s.read(ctx, func(t *tx) error {
		list, err = all(t, scanUser, `SELECT `+accountColumns+` FROM account ORDER BY id`)
		return err
	})
	return list, err
}

// UpdateUser meets account.Store. Id, workspace and time of creation stay.
func (s *Store) UpdateUser(ctx context.Context, u account.User) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.lockWorkspace(ident.Local); err != nil {
			return err
		}
		taken, err := t.exists(`SELECT 1 FROM account WHERE email = ? AND id <> ?`, u.Email, u.ID)
		if err != nil {
			return err
		}
		if taken {
			return account.ErrEmailTaken
		}
		n, err := t.exec(`UPDATE account SET email = ?, full_name = ?, role = ?, password_hash = ? WHERE id = ?`,
			u.Email, u.FullName, u.Role, u.PasswordHash, u.ID)
		if err == nil && n == 0 {
			return fault.Missing(accountNoun)
		}
		return err
	})
}

// AddRefresh meets account.Store.
func (s *Store) AddRefresh(ctx context.Context, r account.RefreshToken) error {
	return s.write(ctx, laneEvents, func(t *tx) error { return t.addRefresh(r) })
}

func (t *tx) addRefresh(r account.RefreshToken) error {
	_, err := t.exec(`INSERT INTO refresh_token (hash, family, account_id, created_at, expires_at, used_at, next, revoked)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Hash, r.Family, r.UserID, micros(r.CreatedAt), micros(r.ExpiresAt), micros(r.UsedAt), r.Next, flag(r.Revoked))
	return err
}

// Rotate meets account.Store. The time is that of next's making.
func (s *Store) Rotate(ctx context.Context, old string, next account.RefreshToken, grace time.Duration) (account.RefreshToken, error) {
	var refusal error
	err := s.write(ctx, laneEvents, func(t *tx) error {
		refusal = nil
		var used, expires int64
		var revoked int
		if err := t.lockLogin(old); err != nil {
			return err
		}
		err := t.row(`SELECT family, account_id, expires_at, used_at, revoked FROM refresh_token WHERE hash = ?`, old).
			Scan(&next.Family, &next.UserID, &expires, &used, &revoked)
		if isNoRows(err) {
			return account.ErrExpired
		}
		if err != nil {
			return err
		}
		now := micros(next.CreatedAt)
		switch {
		case revoked != 0, used != 0 && now > used+grace.Microseconds():
			refusal = account.ErrReuse
		case now >= expires:
			refusal = account.ErrExpired
		}
		if refusal != nil { // told only after the commit, so that the family stays dead
			return t.revoke(next.Family)
		}
		if used == 0 {
			if _, err := t.exec(`UPDATE refresh_token SET used_at = ?, next = ? WHERE hash = ?`, now, next.Hash, old); err != nil {
				return err
			}
		}
		return t.addRefresh(next)
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return account.RefreshToken{}, err
	}
	return next, nil
}

// RevokeFamily meets account.Store.
func (s *Store) RevokeFamily(ctx context.Context, hash string) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		if err := t.lockLogin(hash); err != nil {
			return err
		}
		var family string
		err := t.row(`SELECT family FROM refresh_token WHERE hash = ?`, hash).Scan(&family)
		if isNoRows(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.revoke(family)
	})
}

// lockLogin holds the account of a link until the transaction ends, so that no link is added to a family while it is revoked.
func (t *tx) lockLogin(hash string) error {
	_, err := t.exists(`SELECT 1 FROM account WHERE id = (SELECT account_id FROM refresh_token WHERE hash = ?)`+t.forUpdate(), hash)
	return err
}

func (t *tx) revoke(family string) error {
	_, err := t.exec(`UPDATE refresh_token SET revoked = 1 WHERE family = ?`, family)
	return err
}

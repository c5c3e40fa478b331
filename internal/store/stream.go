package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"byline/internal/account"
)

// AddTicket meets account.Store.
func (s *Store) AddTicket(ctx context.Context, k account.Ticket, life time.Duration) error {
	return s.write(ctx, laneEvents, func(t *tx) error {
		_, err := t.exec(`INSERT INTO stream_ticket (hash, path, account_id, login, until, expires_at) VALUES (?, ?, ?, ?, ?, `+t.clock()+` + CAST(? AS BIGINT))`,
			k.Hash, k.Path, k.Grant.UserID, k.Grant.Login, micros(k.Grant.Until), life.Microseconds())
		return err
	})
}

// TakeTicket meets account.Store.
func (s *Store) TakeTicket(ctx context.Context, hash string) (account.Ticket, error) {
	k := account.Ticket{Hash: hash}
	fresh := false
	err := s.write(ctx, laneEvents, func(t *tx) error {
		var until int64
		err := t.row(`DELETE FROM stream_ticket WHERE hash = ? RETURNING path, account_id, login, until, CASE WHEN expires_at > `+t.clock()+` THEN 1 ELSE 0 END`, hash).
			Scan(&k.Path, &k.Grant.UserID, &k.Grant.Login, &until, &fresh)
		if isNoRows(err) {
			return account.ErrTicket
		}
		k.Grant.Until = timeOf(until)
		return err
	})
	if err == nil && !fresh {
		err = account.ErrTicket
	}
	if err != nil {
		return account.Ticket{}, err
	}
	return k, nil
}

// Revoked meets account.Store. The families that were revoked are in an index of their own, so that it is a short look however old
// the others are.
func (s *Store) Revoked(ctx context.Context, users, logins map[string]bool) (map[string]bool, error) {
	if len(users)+len(logins) == 0 {
		return nil, nil
	}
	var families, keys []string
	for l := range logins {
		if id, ok := strings.CutPrefix(l, account.KeyLogin); ok {
			keys = append(keys, id)
		} else {
			families = append(families, l)
		}
	}
	gone := map[string]bool{}
	err := s.read(ctx, func(t *tx) error {
		clear(gone)
		if err := eachPart(slices.Collect(maps.Keys(users)), func(part []string) error {
			return t.missingUsers(part, gone)
		}); err != nil {
			return err
		}
		if err := eachPart(keys, func(part []string) error {
			for _, id := range part {
				gone[account.KeyLogin+id] = true
			}
			return each(t, scanString, func(id string) { delete(gone, account.KeyLogin+id) }, `SELECT id FROM api_key WHERE id IN (`+marks(len(part))+`)`, args(part)...)
		}); err != nil {
			return err
		}
		return eachPart(families, func(part []string) error {
			return each(t, scanString, func(family string) { gone[family] = true },
				`SELECT DISTINCT family FROM refresh_token WHERE revoked = 1 AND family IN (`+marks(len(part))+`)`, args(part)...)
		})
	})
	return gone, err
}

// missingUsers finds accounts that are not there any more, nearly always none.
func (t *tx) missingUsers(ids []string, gone map[string]bool) error {
	var there int
	if err := t.row(`SELECT COUNT(*) FROM account WHERE id IN (`+marks(len(ids))+`)`, args(ids)...).Scan(&there); err != nil || there == len(ids) {
		return err
	}
	for _, id := range ids {
		gone[id] = true
	}
	return each(t, scanString, func(id string) { delete(gone, id) }, `SELECT id FROM account WHERE id IN (`+marks(len(ids))+`)`, args(ids)...)
}

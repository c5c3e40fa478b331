// Package ident has the names that everything else is told apart by: ids, the workspace that a row belongs to, and the principal who acts.
package ident

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// Workspace is the id of the workspace that a row belongs to. Every query is scoped by one.
type Workspace string

// Local is the workspace of what the command line makes before anybody has an account;
// the first account takes it over.
const Local Workspace = "local"

// Role of an account in the installation.
type Role string

// The roles. A member sees its own workspaces only; an admin also sees the state of the installation.
const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// Principal is who acts: an account (or the local command line, which has none) in one workspace.
type Principal struct {
	UserID    string // empty for the local command line
	Workspace Workspace
	Role      Role
}

// crockford is the alphabet of ULIDs (https://github.com/ulid/spec): base32 without I, L, O and U.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

var last struct {
	sync.Mutex
	ms   uint64
	high uint16
	low  uint64
}

// New returns a ULID: 48 bits of milliseconds and 80 random ones, 26 characters, sorted by the time of its making.
// Ids made by one process within one millisecond keep their order.
func New() string { return at(time.Now()) }

func at(t time.Time) string {
	last.Lock()
	defer last.Unlock()
	if ms := uint64(t.UnixMilli()); ms > last.ms {
		var b [10]byte
		rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
		last.ms, last.high, last.low = ms, binary.BigEndian.Uint16(b[:2])&0x7fff, binary.BigEndian.Uint64(b[2:])
	} else if last.low++; last.low == 0 {
		last.high++
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], last.ms<<16|uint64(last.high))
	binary.BigEndian.PutUint64(b[8:], last.low)
	return encode(b)
}

// encode writes 128 bits as 26 characters of five bits; the first has three.
func encode(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// Valid tells whether s has the form of an id, so that nonsense is answered as a missing row without asking the store.
func Valid(s string) bool {
	if len(s) != 26 || s[0] > '7' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' && c != 'I' && c != 'L' && c != 'O' && c != 'U') {
			return false
		}
	}
	return true
}

// Once makes a creating request idempotent (the Idempotency-Key of HTTP): the store keeps the key with the id of what
// was created, in the transaction of the effect, for 24 hours. The same key with another fingerprint is refused.
type Once struct {
	Key         string // the client's, at most 255 bytes
	Fingerprint string // hash of method, path and body
}

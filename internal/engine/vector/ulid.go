package vector

import (
	"encoding/binary"
	"fmt"

	"byline/internal/ident"
)

// ulid is an id's 128 bits; its order as bytes is the order of the ids as text.
type ulid [16]byte

// crockford is the alphabet of ULIDs.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func parseULID(s string) (ulid, error) {
	var u ulid
	if !ident.Valid(s) {
		return u, fmt.Errorf("%q is not a ULID", s)
	}
	var hi, lo uint64
	for i := range len(s) {
		hi, lo = hi<<5|lo>>59, lo<<5|uint64(crockfordValue(s[i]))
	}
	binary.BigEndian.PutUint64(u[:8], hi)
	binary.BigEndian.PutUint64(u[8:], lo)
	return u, nil
}

// crockfordValue is the place of a valid letter in the alphabet, which leaves out I, L, O and U.
func crockfordValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c < 'I':
		return c - 'A' + 10
	case c < 'L':
		return c - 'A' + 9
	case c < 'O':
		return c - 'A' + 8
	case c < 'U':
		return c - 'A' + 7
	}
	return c - 'A' + 6
}

func (u ulid) String() string {
	hi, lo := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// vocabulary is that of WordPiece, an object of ids by token, or that of Unigram, an array of tokens with their scores.
type vocabulary struct {
	pieces []piece
	scores []float32 // of Unigram's tokens, by id; nil for WordPiece
}

// UnmarshalJSON meets json.Unmarshaler: raw is valid JSON. There are up to a million entries, so it reads them by itself.
func (v *vocabulary) UnmarshalJSON(raw []byte) error {
	s := &scanner{raw: raw}
	switch s.next() {
	case '{':
		return s.list('}', func() error {
			text, err := s.text()
			if err != nil {
				return err
			}
			if s.next() != ':' {
				return errVocabulary
			}
			id, err := strconv.ParseInt(s.number(), 10, 32)
			v.pieces = append(v.pieces, piece{text, int32(id)})
			return err
		})
	case '[':
		v.scores = []float32{}
		return s.list(']', func() error {
			if s.next() != '[' {
				return errVocabulary
			}
			text, err := s.text()
			if err != nil {
				return err
			}
			if s.next() != ',' {
				return errVocabulary
			}
			score, err := strconv.ParseFloat(s.number(), 32)
			if err != nil || s.next() != ']' {
				return errVocabulary
			}
			v.pieces = append(v.pieces, piece{text, int32(len(v.pieces))})
			v.scores = append(v.scores, float32(score))
			return nil
		})
	}
	return errVocabulary
}

var errVocabulary = errors.New("the vocabulary is neither tokens with ids nor tokens with scores")

// scanner reads the tokens of valid JSON.
type scanner struct {
	raw []byte
	at  int
}

// next gives the next byte that is no space, and 0 at the end.
func (s *scanner) next() byte {
	for s.at < len(s.raw) {
		c := s.raw[s.at]
		s.at++
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// list reads entries up to the closing bracket; the opening one is read.
func (s *scanner) list(closing byte, entry func() error) error {
	if s.next() == closing {
		return nil
	}
	s.at--
	for {
		if err := entry(); err != nil {
			return err
		}
		switch s.next() {
		case ',':
		case closing:
			return nil
		default:
			return errVocabulary
		}
	}
}

// text reads a string.
func (s *scanner) text() (string, error) {
	if s.next() != '"' {
		return "", errVocabulary
	}
	from, plain := s.at, true
	for s.at < len(s.raw) && s.raw[s.at] != '"' {
		if s.raw[s.at] == '\\' {
			plain = false
			s.at++
		}
		s.at++
	}
	if s.at >= len(s.raw) {
		return "", errVocabulary
	}
	s.at++
	if b := s.raw[from : s.at-1]; plain && utf8.Valid(b) {
		return string(b), nil
	}
	var text string
	if err := json.Unmarshal(s.raw[from-1:s.at], &text); err != nil {
		return "", fmt.Errorf("read vocabulary: %w", err)
	}
	return text, nil
}

// number gives the digits of a number; strconv says whether it is one.
func (s *scanner) number() string {
	if s.next() == 0 {
		return ""
	}
	from := s.at - 1
	for s.at < len(s.raw) && strings.IndexByte("0123456789-+.eE", s.raw[s.at]) >= 0 {
		s.at++
	}
	return string(s.raw[from:s.at])
}

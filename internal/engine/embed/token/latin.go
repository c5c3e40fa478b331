package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Latin tells of a tokenizer.json whether its vocabulary is one of languages in Latin letters: less than a fifth of its pieces
// have others. Single letters of other scripts are in English vocabularies, too: in one of twenty pieces of BERT's.
func Latin(tokenizerJSON []byte) (bool, error) {
	var f struct {
		Model struct {
			Vocab vocabulary `json:"vocab"`
		} `json:"model"`
	}
	if err := json.Unmarshal(tokenizerJSON, &f); err != nil {
		return false, fmt.Errorf("read tokenizer.json: %w", err)
	}
	others := 0
	for _, p := range f.Model.Vocab.pieces {
		if strings.ContainsFunc(p.text, func(r rune) bool { return isLetter(r) && !unicode.Is(unicode.Latin, r) }) {
			others++
		}
	}
	return others*5 < len(f.Model.Vocab.pieces), nil
}

// LatinShare is the share of a text's letters that are Latin ones; 0 of a text without letters.
func LatinShare(text string) float64 {
	in, all := 0, 0
	for _, r := range text {
		if !isLetter(r) {
			continue
		}
		if all++; r < utf8.RuneSelf || unicode.Is(unicode.Latin, r) {
			in++
		}
	}
	return float64(in) / float64(max(all, 1))
}

package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// entry is one key of byline.toml, its value as the text that the other sources would have.
type entry struct {
	name, value string
	line        int
	wrong       string // what is wrong with its type, in words that follow the name
}

// parseTOML reads a flat file: name = text, number, true, false or a list of texts. The mistake does not repeat
// the line, which may hold a secret.
func parseTOML(data []byte) ([]entry, *mistake) {
	var doc map[string]any
	if _, err := toml.Decode(string(data), &doc); err != nil {
		line, text := 1, "this is not TOML; write name = \"text\", name = 7, name = true or name = [\"a\", \"b\"]"
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			line = pe.Position.Line
			if strings.Contains(pe.Message, "already been defined") {
				text = "a key stands twice"
			}
		}
		return nil, &mistake{line, text}
	}
	lines := strings.SplitAfter(string(data), "\n")
	var entries []entry
	for name, value := range doc {
		e := entry{name: name, line: lineOf(name, lines)}
		switch v := value.(type) {
		case string:
			e.value = v
		case int64, float64, bool:
			e.value = fmt.Sprint(v)
		case []any:
			for _, item := range v {
				if _, ok := item.(string); !ok {
					e.wrong = "is a list of something else than texts"
				}
			}
			text, _ := json.Marshal(v) //nolint:errcheck // what TOML holds can be written as JSON; if not, it is refused as a list
			e.value = string(text)
		default:
			e.wrong = "is a table or a date; use a text, a number, true, false or a list of texts"
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(a.line-b.line, cmp.Compare(a.name, b.name)) })
	return entries, nil
}

// lineOf finds the line that a top-level key or table begins at, counted from 1; the library keeps no positions.
// The same characters may stand inside a text of several lines: what is before the right line is a whole document.
func lineOf(name string, lines []string) int {
	quoted := regexp.QuoteMeta(name)
	begins := regexp.MustCompile(`^[ \t]*\[*[ \t]*["']?` + quoted + `["']?[ \t]*[.=\]]`)
	for i, line := range lines {
		if !begins.MatchString(line) {
			continue
		}
		var before map[string]any
		if _, err := toml.Decode(strings.Join(lines[:i], ""), &before); err == nil {
			return i + 1
		}
	}
	return 1
}

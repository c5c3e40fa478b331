package markdown

import (
	"encoding/json"
	"strings"
)

// maxFrontMatter bounds the search for the end of front matter, in bytes.
const maxFrontMatter = 64 << 10

// frontMatter finds the YAML or TOML that a document begins with: its title, and the byte offset of what follows. What
// does not look like front matter is part of the document.
func frontMatter(source string) (title string, body int) {
	for _, f := range []struct{ open, sign string }{{"---\n", ":"}, {"+++\n", "="}} {
		if !strings.HasPrefix(source, f.open) {
			continue
		}
		at := len(f.open)
		for first := true; at < min(len(source), maxFrontMatter); first = false {
			end := strings.IndexByte(source[at:], '\n') + 1
			if end == 0 {
				end = len(source) - at
			}
			line := strings.TrimRight(source[at:at+end], " \t\n")
			at += end
			if line == f.open[:3] || f.sign == ":" && line == "..." {
				return title, at
			}
			key, value, found := strings.Cut(line, f.sign)
			if first && !strings.HasPrefix(line, "#") && (!found || !isKey(strings.TrimSpace(key))) {
				return "", 0 // a rule, and text below it
			}
			if found && title == "" && strings.EqualFold(strings.TrimRight(key, " "), "title") {
				title = unquote(strings.TrimSpace(value))
			}
		}
	}
	return "", 0
}

func isKey(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == ""
}

// unquote reads a scalar of one line. What is not one (a block, a list) is no title.
func unquote(s string) string {
	if s == "" {
		return ""
	}
	switch s[0] {
	case '"':
		var v string
		if json.Unmarshal([]byte(s), &v) == nil {
			return strings.Join(strings.Fields(v), " ")
		}
		return strings.Trim(s, `"`)
	case '\'':
		if len(s) > 1 && strings.HasSuffix(s, "'") {
			return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
		}
		return strings.Trim(s, "'")
	case '|', '>', '[', '{', '&', '*', '!':
		return ""
	}
	if i := strings.Index(s, " #"); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	return s
}

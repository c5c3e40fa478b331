package config

import "fmt"

// Assignment is an assignment for the external tests.
type Assignment struct {
	Name, Value string
	Line        int
}

// ParseDotenv gives the parser to the external tests, its mistakes as notices.
func ParseDotenv(data []byte) ([]Assignment, []string) {
	found, mistakes := parseDotenv(data)
	var as []Assignment
	for _, a := range found {
		as = append(as, Assignment{a.name, a.value, a.line})
	}
	var texts []string
	for _, m := range mistakes {
		texts = append(texts, fmt.Sprintf("%d: %s", m.line, m.text))
	}
	return as, texts
}

// ParseTOML gives the lines of the keys of byline.toml; it is false when the file has a mistake.
func ParseTOML(data []byte) (map[string]int, bool) {
	entries, wrong := parseTOML(data)
	found := map[string]int{}
	for _, e := range entries {
		found[e.name] = e.line
	}
	return found, wrong == nil
}

// Quote is quote.
func Quote(value string) string { return quote(value) }

// Parse reads a value as the setting at the row would.
func (s Setting) Parse(text string) (any, error) { return s.parse(text) }

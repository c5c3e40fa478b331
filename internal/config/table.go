package config

import (
	"reflect"
	"slices"
	"strings"
)

// Setting is one row of the table: a field of Config and what its tags say.
type Setting struct {
	Env     string // NAME, in the environment and in .env
	Key     string // name, in byline.toml
	Flag    string // name, without its dashes; empty: it has none
	Default string // as it would be written
	Doc     string // one line
	Topic   string // heading in the documentation
	Allowed string // what it may be, in words that follow "use"
	Secret  bool   // never shown, and can also be set as NAME_FILE
	IsURL   bool   // with Secret: its host and path may be shown
	Switch  bool   // a flag without an argument
	Planned string // what is not built yet: "*" or some of its values
	Retired string // why it is not read, and what to use instead

	field []int // where it is in Config
	tags  reflect.StructTag
	typ   reflect.Type
}

// fileSuffix makes the name of a secret the name of a file that holds it.
const fileSuffix = "_FILE"

// Settings lists every setting in the order of its declaration.
func Settings() []Setting {
	var rows []Setting
	root := reflect.TypeFor[Config]()
	for i := range root.NumField() {
		group := root.Field(i)
		for j := range group.Type.NumField() {
			f := group.Type.Field(j)
			env, tag := f.Tag.Get("env"), f.Tag.Get
			s := Setting{
				Env: env, Key: strings.ToLower(env), Flag: tag("flag"), Default: tag("default"), Doc: tag("doc"),
				Topic: group.Tag.Get("topic"), Secret: tag("secret") != "", IsURL: tag("secret") == "url",
				Switch: f.Type.Kind() == reflect.Bool, Planned: tag("planned"), Retired: tag("retired"),
				field: []int{i, j}, tags: f.Tag, typ: f.Type,
			}
			s.Allowed = s.allowed()
			rows = append(rows, s)
		}
	}
	return rows
}

// isPlanned tells whether text asks for something that is not built yet.
func (s *Setting) isPlanned(text string) bool {
	planned := strings.Fields(s.Planned)
	return slices.Contains(planned, "*") || slices.Contains(planned, text) ||
		slices.Contains(planned, "path") && isPath(text)
}

// list tells whether the value is several URLs.
func (s *Setting) list() bool { return strings.HasPrefix(s.tags.Get("form"), "urls:") }

func isPath(text string) bool { return strings.ContainsAny(text, `/\`) }

// name is what a setting is called in one kind of source.
func (s *Setting) name(l layer) string {
	switch l {
	case fromFlags:
		return s.Flag
	case fromFile:
		return s.Key
	default:
		return s.Env
	}
}

// suggest gives the known name that is nearest to a misspelt one, or nothing when none is near.
// Names differ from what people expect by case, by a few letters, or by BYLINE_ in front.
func suggest(name string, known []string) string {
	upper := func(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "-", "_") }
	plain := func(s string) string { return strings.TrimPrefix(s, "BYLINE_") }
	want, best, least := upper(name), "", 0
	limit := 1 + len(plain(want))/5
	for _, k := range known {
		have := upper(k)
		d := min(distance(want, have), distance(plain(want), plain(have)))
		if d <= limit && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, substitutions and swaps of neighbours (optimal string alignment)
// that make a into b, in bytes.
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}

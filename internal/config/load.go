package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"byline/internal/fault"
)

// Sources is where settings come from.
type Sources struct {
	Flags   map[string]string // those that were given, by name without dashes
	Environ []string          // as os.Environ gives it
	Dir     string            // where .env and byline.toml are looked for; empty: the working directory
	File    string            // what --config named; it must be there. Empty: byline.toml in Dir, if it is there
}

// FileName is the configuration file that is read when none is named.
const FileName = "byline.toml"

// layer is one kind of source. A smaller one wins.
type layer int

const (
	fromFlags layer = iota
	fromEnviron
	fromDotenv
	fromFile
	fromDefault
)

// given is one value that a layer gives to a name of that layer.
type given struct {
	text  string
	place string // for people: --listen, environment, .env:3, byline.toml:7
	line  int
	later bool // in .env, behind another one on its line
}

// maxFile is the most bytes that .env, byline.toml or the file of a secret may have.
const maxFile = 64 << 10

// Load reads all sources. The error, a fault of kind Invalid, names every bad value with its place and what is allowed;
// the report is there in both cases.
func Load(src Sources) (*Config, Report, error) {
	l := &loader{src: src, table: Settings(), values: map[layer]map[string]given{}, cfg: &Config{}, ranks: map[string]layer{}}
	l.values[fromFlags] = l.readFlags()
	l.values[fromEnviron] = l.readEnviron()
	l.values[fromDotenv] = l.readDotenv()
	l.values[fromFile] = l.readFile()
	for i := range l.table {
		l.resolve(&l.table[i])
	}
	l.applyPort()
	l.applyProcessors()
	report := Report{Problems: inOrder(l.problems), Notices: inOrder(l.notices), Values: l.report}
	if len(report.Problems) > 0 {
		return nil, report, report.fault()
	}
	return l.cfg, report, nil
}

type loader struct {
	src      Sources
	table    []Setting
	values   map[layer]map[string]given
	cfg      *Config
	problems []placed
	notices  []placed
	report   []Value
	ranks    map[string]layer // of each setting, by its Env: which layer its text came from
}

// placed is a notice with what it is ordered by.
type placed struct {
	layer  layer
	line   int
	notice Notice
}

func inOrder(list []placed) []Notice {
	slices.SortFunc(list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.line, b.line), cmp.Compare(a.notice.Place, b.notice.Place), cmp.Compare(a.notice.Text, b.notice.Text))
	})
	out := make([]Notice, len(list))
	for i, p := range list {
		out[i] = p.notice
	}
	return out
}

func (l *loader) bad(from layer, at given, format string, args ...any) {
	l.problems = append(l.problems, placed{from, at.line, Notice{at.place, fmt.Sprintf(format, args...)}})
}

func (l *loader) notice(from layer, at given, format string, args ...any) {
	l.notices = append(l.notices, placed{from, at.line, Notice{at.place, fmt.Sprintf(format, args...)}})
}

// names lists what a layer may set.
func (l *loader) names(from layer) []string {
	var names []string
	for i := range l.table {
		s := &l.table[i]
		name := s.name(from)
		if name == "" {
			continue
		}
		names = append(names, name)
		if s.Secret && from != fromFlags {
			names = append(names, fileName(name, from))
		}
	}
	return names
}

// fileName is the name that gives a secret by a file.
func fileName(name string, from layer) string {
	if from == fromFile {
		return name + strings.ToLower(fileSuffix)
	}
	return name + fileSuffix
}

// unknown refuses a name, with the one that was probably meant.
func (l *loader) unknown(from layer, name string, at given) {
	text, dashes := name+" is not a setting", ""
	if from == fromFlags {
		text, dashes = "there is no such flag", "--"
	}
	if near := suggest(name, l.names(from)); near != "" {
		text += "; did you mean " + dashes + near + "?"
	} else {
		text += "; docs/configuration.md lists them all"
	}
	if at.later {
		text += " (If it belongs to the value before it, put that into quotes.)"
	}
	l.bad(from, at, "%s", text)
}

func (l *loader) readFlags() map[string]given {
	values, known := map[string]given{}, l.names(fromFlags)
	for name, text := range l.src.Flags {
		at := given{text: text, place: "--" + name}
		if !slices.Contains(known, name) {
			l.unknown(fromFlags, name, at)
			continue
		}
		values[name] = at
	}
	return values
}

// readEnviron takes what it knows and refuses what begins with BYLINE_ and is unknown; the rest belongs to others.
func (l *loader) readEnviron() map[string]given {
	values, known := map[string]given{}, l.names(fromEnviron)
	for _, entry := range l.src.Environ {
		name, text, _ := strings.Cut(entry, "=")
		at := given{text: text, place: "environment"}
		switch {
		case slices.Contains(known, name):
			values[name] = at
		case strings.HasPrefix(name, "BYLINE_"):
			l.unknown(fromEnviron, name, at)
		}
	}
	return values
}

func (l *loader) readDotenv() map[string]given {
	values, known := map[string]given{}, l.names(fromDotenv)
	data, err := readSmall(filepath.Join(l.src.Dir, ".env"))
	if errors.Is(err, fs.ErrNotExist) {
		return values
	}
	if err != nil {
		l.bad(fromDotenv, given{place: ".env"}, "cannot be read: %s", reason(err))
		return values
	}
	found, mistakes := parseDotenv(data)
	for _, m := range mistakes {
		l.bad(fromDotenv, given{place: fmt.Sprintf(".env:%d", m.line), line: m.line}, "%s", m.text)
	}
	for _, a := range found {
		at := given{text: a.value, place: fmt.Sprintf(".env:%d", a.line), line: a.line, later: a.later}
		if !slices.Contains(known, a.name) {
			l.unknown(fromDotenv, a.name, at)
			continue
		}
		if before, twice := values[a.name]; twice {
			l.notice(fromDotenv, before, "%s stands again in line %d; the last one counts", a.name, a.line)
		}
		values[a.name] = at
	}
	return values
}

func (l *loader) readFile() map[string]given {
	values, known := map[string]given{}, l.names(fromFile)
	path, shown := filepath.Join(l.src.Dir, FileName), FileName
	if l.src.File != "" {
		path, shown = l.src.File, l.src.File
	}
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) && l.src.File == "" {
		return values
	}
	if err != nil {
		l.bad(fromFile, given{place: shown}, "cannot be read: %s", reason(err))
		return values
	}
	entries, wrong := parseTOML(data)
	if wrong != nil {
		l.bad(fromFile, given{place: fmt.Sprintf("%s:%d", shown, wrong.line), line: wrong.line}, "%s", wrong.text)
	}
	for _, e := range entries {
		at := given{text: e.value, place: fmt.Sprintf("%s:%d", shown, e.line), line: e.line}
		switch {
		case !slices.Contains(known, e.name):
			l.unknown(fromFile, e.name, at)
		case e.wrong != "":
			l.bad(fromFile, at, "%s %s", e.name, e.wrong)
		default:
			values[e.name] = at
		}
	}
	return values
}

// resolve finds the value of one setting in the highest layer that gives one, and checks those below it too.
func (l *loader) resolve(s *Setting) {
	value, decided := Value{Setting: *s, Origin: "default"}, fromDefault
	for from := fromFlags; from < fromDefault; from++ {
		at, ok := l.lookup(s, from, decided == fromDefault)
		if !ok {
			continue
		}
		if s.Retired != "" {
			l.notice(from, at, "%s is not read. %s", s.Env, s.Retired)
			continue
		}
		var parsed any
		var err error
		if at.text != "" {
			parsed, err = s.parse(at.text)
		}
		switch {
		case decided != fromDefault && err != nil:
			l.notice(from, at, "%s. It has no effect: %s sets it.", s.complain(from, at.text, err), value.Origin)
		case decided != fromDefault:
		case err != nil:
			l.bad(from, at, "%s", s.complain(from, at.text, err))
			decided, value.Text, value.Origin, value.Refused = from, at.text, at.place, true
		default:
			decided, value.Text, value.Origin = from, at.text, at.place
			l.set(s, parsed)
			if at.text != "" && at.text != s.Default && s.isPlanned(at.text) {
				l.notice(from, at, "%s is known and accepted, but %s is not built yet; it has no effect", s.Env, s.notBuilt(at.text))
			}
		}
	}
	if s.Retired != "" {
		return
	}
	if decided == fromDefault {
		l.set(s, nil)
	}
	if value.Text == "" {
		value.Text, decided = s.Default, fromDefault
	}
	l.ranks[s.Env] = decided
	l.report = append(l.report, value)
}

// set writes a value, or the default when there is none, into its field.
func (l *loader) set(s *Setting, parsed any) {
	if parsed == nil && s.Default != "" {
		parsed, _ = s.parse(s.Default) // a test parses every default
	}
	if parsed != nil {
		reflect.ValueOf(l.cfg).Elem().FieldByIndex(s.field).Set(reflect.ValueOf(parsed))
	}
}

// complain says what is wrong with a value. That of a secret is not repeated.
func (s *Setting) complain(from layer, text string, err error) string {
	name := s.Env
	if from == fromFile {
		name = s.Key
	}
	if !errors.Is(err, errNotAllowed) {
		return name + " " + err.Error()
	}
	if s.Secret {
		return fmt.Sprintf("%s is not allowed; use %s", name, s.Allowed)
	}
	return fmt.Sprintf("%s: %q is not allowed; use %s", name, shorten(text), s.Allowed)
}

func shorten(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}

// notBuilt names what is missing.
func (s *Setting) notBuilt(text string) string {
	if s.Planned == "*" {
		return "what it is for"
	}
	return fmt.Sprintf("%q", text)
}

// lookup finds what a layer gives to a setting. A placeholder is nothing, with a notice; a secret may stand in a file,
// which is read only when it counts.
func (l *loader) lookup(s *Setting, from layer, counts bool) (given, bool) {
	name := s.name(from)
	at, ok := l.values[from][name]
	if ok && s.Secret && isPlaceholder(at.text) {
		l.notice(from, at, "%s is a placeholder and counts as not set", name)
		ok = false
	}
	file := given{}
	if s.Secret {
		file = l.values[from][fileName(name, from)]
	}
	switch {
	case file.text == "" || !counts:
		return at, ok
	case ok && at.text != "":
		l.bad(from, file, "both %s and %s are set; keep one", name, fileName(name, from))
		return at, ok
	}
	name = fileName(name, from)
	data, err := readSmall(l.inDir(file.text))
	text := strings.TrimRight(string(data), "\r\n")
	switch {
	case err != nil:
		l.bad(from, file, "%s: %s cannot be read: %s", name, file.text, reason(err))
		return given{}, false
	case text == "" || !utf8.ValidString(text):
		l.bad(from, file, "%s: %s is empty or is not text", name, file.text)
		return given{}, false
	case isPlaceholder(text):
		l.notice(from, file, "%s: %s has a placeholder and counts as not set", name, file.text)
		return given{}, false
	}
	file.text, file.place = text, fmt.Sprintf("%s, file %s", file.place, file.text)
	return file, true
}

// inDir makes a relative path one from Dir, as the files beside it are found.
func (l *loader) inDir(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.src.Dir, path)
}

// isPlaceholder tells whether a secret is one of those that examples print: sk-..., tvly-..., your-secret-key-here.
func isPlaceholder(text string) bool {
	lower := strings.ToLower(text)
	return strings.HasSuffix(lower, "...") || strings.HasSuffix(lower, "…") ||
		strings.HasPrefix(lower, "your-") || strings.HasPrefix(lower, "your_")
}

// applyPort lets PORT stand for BYLINE_LISTEN, when it comes from a higher layer.
func (l *loader) applyPort() {
	const listen, port = "BYLINE_LISTEN", "PORT"
	if l.cfg.Server.Port == 0 {
		return
	}
	from := l.ranks[port]
	name := port
	if from == fromFile {
		name = strings.ToLower(port)
	}
	at := l.values[from][name]
	if l.ranks[listen] <= from {
		l.notice(from, at, "PORT has no effect: BYLINE_LISTEN is set")
		return
	}
	l.cfg.Server.Listen = fmt.Sprintf("0.0.0.0:%d", l.cfg.Server.Port)
	for i := range l.report {
		if l.report[i].Env == listen {
			l.report[i].Text, l.report[i].Origin = l.cfg.Server.Listen, at.place+" (PORT)"
		}
	}
}

// applyProcessors puts numbers for the 0 that means as many as suit this machine.
func (l *loader) applyProcessors() {
	processors := runtime.GOMAXPROCS(0)
	if l.cfg.Storage.Workers == 0 {
		l.cfg.Storage.Workers = 2 * processors
	}
	if l.cfg.Documents.ExtractWorkers == 0 {
		l.cfg.Documents.ExtractWorkers = min(processors, 4)
	}
}

// readSmall reads a file of at most maxFile bytes.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, maxFile+1))
	if err == nil && n > maxFile {
		err = errors.New("it has more than 64 KiB")
	}
	return b.Bytes(), err
}

// reason is an error of the file system without the path, which the message has already.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// fault makes one error of all problems.
func (r Report) fault() *fault.Error {
	var b strings.Builder
	count := "1 mistake"
	if n := len(r.Problems); n > 1 {
		count = fmt.Sprintf("%d mistakes", n)
	}
	fmt.Fprintf(&b, "The configuration has %s:", count)
	e := &fault.Error{Kind: fault.Invalid, Code: "bad_configuration"}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "\n  %s: %s", p.Place, p.Text)
		e.Fields = append(e.Fields, fault.Field{Location: p.Place, Code: "bad_configuration", Message: p.Text})
	}
	e.Say = b.String()
	return e
}

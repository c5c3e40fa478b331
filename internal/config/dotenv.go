package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// assignment is one NAME=value of a .env file.
type assignment struct {
	name, value string
	line        int  // counted from 1
	later       bool // not the first of its line
}

// mistake is what is wrong with a line. Its text never repeats the line, which may hold a secret.
type mistake struct {
	line int
	text string
}

// parseDotenv reads a .env file as a POSIX shell would read its assignments, without any expansion:
//
//	NAME=value                      up to the end of the line, to " #", or to the next NAME= of the line
//	export NAME=value
//	NAME="a \"b\" \n c"             escapes \n \r \t \" \\ \$ \`; may go over several lines; \ at a line's end joins it with the next
//	NAME='as it is'                 no escapes; ends on its line
//	ONE="1"   TWO=2   # several on one line
//
// A line with a mistake is left out and the reading goes on behind it, so that all mistakes are found at once.
func parseDotenv(data []byte) ([]assignment, []mistake) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, []mistake{{1, "the file is UTF-16; save it as UTF-8"}}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	p := dotenv{rest: strings.ReplaceAll(string(data), "\r\n", "\n"), line: 1}
	for p.rest != "" {
		p.parseLine()
	}
	return p.found, p.mistakes
}

type dotenv struct {
	rest     string // what is not read yet
	line     int
	found    []assignment
	mistakes []mistake
}

const blanks = " \t\r\v\f"

// parseLine reads the assignments of one line; a quoted value may take it over several.
func (p *dotenv) parseLine() {
	p.rest = strings.TrimLeft(p.rest, blanks)
	if after, ok := strings.CutPrefix(p.rest, "export"); ok && after != "" && strings.ContainsRune(blanks, rune(after[0])) {
		p.rest = strings.TrimLeft(after, blanks)
	}
	for first := true; ; first = false {
		if p.rest == "" || p.rest[0] == '\n' || p.rest[0] == '#' {
			p.endLine()
			return
		}
		line := p.line
		name, ok := p.takeName(first)
		if !ok {
			if first {
				p.fail(line, "this is not NAME=value")
			} else {
				p.fail(line, "what follows the quoted value is not NAME=value; put the whole value into quotes")
			}
			return
		}
		value, wrong := p.takeValue()
		if wrong == "" && (!utf8.ValidString(value) || strings.ContainsRune(value, 0)) {
			wrong = "is not UTF-8 text"
		}
		if wrong != "" {
			p.fail(line, name+" "+wrong)
			return
		}
		p.found = append(p.found, assignment{name: name, value: value, line: line, later: !first})
		p.rest = strings.TrimLeft(p.rest, blanks)
	}
}

func (p *dotenv) fail(line int, text string) {
	p.mistakes = append(p.mistakes, mistake{line, text})
	p.endLine()
}

// endLine goes behind the next line break.
func (p *dotenv) endLine() {
	_, p.rest, _ = strings.Cut(p.rest, "\n")
	p.line++
}

// takeName reads NAME=, with blanks before the sign when it begins the line.
func (p *dotenv) takeName(first bool) (string, bool) {
	n := nameLength(p.rest)
	name, rest := p.rest[:n], p.rest[n:]
	if first {
		rest = strings.TrimLeft(rest, blanks)
	}
	if n == 0 || !strings.HasPrefix(rest, "=") {
		return "", false
	}
	p.rest = rest[1:]
	return name, true
}

// nameLength counts the bytes of the name that s begins with.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

// takeValue reads a value and says what is wrong with it, in words that follow its name.
func (p *dotenv) takeValue() (value, wrong string) {
	behind := strings.TrimLeft(p.rest, blanks)
	if len(behind) < len(p.rest) && endsBare(behind) {
		return "", ""
	}
	p.rest = behind
	switch {
	case strings.HasPrefix(p.rest, `"`):
		value, wrong = p.takeDoubleQuoted()
	case strings.HasPrefix(p.rest, "'"):
		end := strings.IndexAny(p.rest[1:], "'\n")
		if end < 0 || p.rest[1+end] == '\n' {
			return "", "has a single quote that is not closed on its line"
		}
		value, p.rest = p.rest[1:1+end], p.rest[end+2:]
	default:
		return p.takeBare(), ""
	}
	if wrong == "" && p.rest != "" && !strings.ContainsRune(blanks+"\n", rune(p.rest[0])) {
		wrong = "has text right behind its closing quote"
	}
	return value, wrong
}

// takeDoubleQuoted leaves the rest where it was when the quote is not closed, so that only the first line is lost.
func (p *dotenv) takeDoubleQuoted() (value, wrong string) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.line += strings.Count(p.rest[:i], "\n")
			p.rest = p.rest[i+1:]
			return b.String(), ""
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteString(unescape(p.rest[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", "has a double quote that is not closed"
}

func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$', '`':
		return string(c)
	case '\n':
		return ""
	}
	return "\\" + string([]byte{c})
}

// takeBare reads up to the end of the line, a comment, or the next assignment.
func (p *dotenv) takeBare() string {
	line, _, _ := strings.Cut(p.rest, "\n")
	for i := 1; i < len(line); i++ {
		if strings.ContainsRune(blanks, rune(line[i-1])) && endsBare(line[i:]) {
			line = line[:i]
			break
		}
	}
	p.rest = p.rest[len(line):]
	return strings.TrimRight(line, blanks)
}

// endsBare tells whether a value without quotes has ended where s begins, behind a blank: a comment or the next NAME=.
func endsBare(s string) bool {
	n := nameLength(s)
	return strings.HasPrefix(s, "#") || n > 0 && strings.HasPrefix(s[n:], "=")
}

// quote writes a value so that parseDotenv reads it back.
func quote(value string) string {
	if value == "" || strings.IndexFunc(value, func(r rune) bool { return !strings.ContainsRune(plainRunes, r) }) < 0 {
		return value
	}
	return fmt.Sprintf(`"%s"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`", "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(value))
}

const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,@%+"

package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxName = 200 // bytes
	// nameless stands for a name of which nothing is left.
	nameless = "document"
	// maxExtension is the longest ending, with its dot, that a cut keeps, in bytes.
	maxExtension = 16
)

// SafeName makes a client's file name fit to be shown: its last path part without control characters, direction
// overrides and invisible characters, in one line of at most 200 bytes. It is never empty, and never a path:
// nothing is stored under it.
func SafeName(client string) string {
	client = norm.NFC.String(strings.ToValidUTF8(client, "\uFFFD"))
	parts := strings.FieldsFunc(client, func(r rune) bool { return r == '/' || r == '\\' })
	for i := len(parts) - 1; i >= 0; i-- {
		if name := tidyName(parts[i]); strings.Trim(name, ". ") != "" {
			return cutName(name)
		}
	}
	return nameless
}

// tidyName drops what cannot or should not be seen and makes one space of any number.
func tidyName(part string) string {
	var b strings.Builder
	gap := false
	for _, r := range part {
		switch {
		case unicode.IsSpace(r):
			gap = b.Len() > 0
			continue
		case unicode.IsControl(r), invisible(r):
			continue
		}
		if gap {
			b.WriteByte(' ')
			gap = false
		}
		b.WriteRune(r)
	}
	return norm.NFC.String(b.String())
}

// invisible tells whether a rune turns the direction of what follows or hides. The joiners of Persian and emoji stay.
func invisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) && r != '\u200C' && r != '\u200D' || unicode.Is(unicode.Co, r) || r == utf8.RuneError
}

// cutName shortens the stem and keeps the ending.
func cutName(name string) string {
	if len(name) <= maxName {
		return name
	}
	ending := ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && len(name)-dot <= maxExtension {
		name, ending = name[:dot], name[dot:]
	}
	cut := maxName - len(ending)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return strings.TrimRight(name[:cut], " ") + ending
}

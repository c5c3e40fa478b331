package extract

import (
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"
	"golang.org/x/text/unicode/norm"

	"byline/internal/fault"
)

// Format is a kind of document that can be read.
type Format string

// The formats.
const (
	PDF       Format = "pdf"
	Markdown  Format = "markdown"
	PlainText Format = "text"
)

// supported is what people are told.
const supported = "PDF (.pdf), Markdown (.md, .markdown) and plain text (.txt)"

// byExtension are the endings of a supported format. A name without an ending is believed to be what its bytes are.
var byExtension = map[string]Format{
	".pdf": PDF, ".md": Markdown, ".markdown": Markdown, ".mdown": Markdown, ".mkd": Markdown,
	".txt": PlainText, ".text": PlainText, ".log": PlainText, "": "",
}

// byDeclared are the content types that clients send for a supported format; text/plain is sent for Markdown, too.
var byDeclared = map[string][]Format{
	"application/pdf": {PDF}, "application/x-pdf": {PDF},
	"text/markdown": {Markdown}, "text/x-markdown": {Markdown},
	"text/plain":               {PlainText, Markdown},
	"application/octet-stream": {PDF, Markdown, PlainText}, "": {PDF, Markdown, PlainText},
}

// Sniff tells a document's format from its first bytes (some KB), its name and the content type that the client declared: all three
// must agree. What is not supported is fault.Unsupported, and its sentence says what is.
func Sniff(name string, head []byte, declared string) (Format, error) {
	ext := strings.ToLower(path.Ext(name))
	named, known := byExtension[ext]
	if !known {
		return "", fault.New(fault.Unsupported, "unsupported_type", "%q cannot be read: files of the kind %s are not supported. Supported are %s.", name, ext, supported)
	}
	found := sniffBytes(head)
	if found == "" {
		what := mimetype.Detect(head).String()
		if named == "" {
			return "", fault.New(fault.Unsupported, "unsupported_type", "%q cannot be read: its content is %s. Supported are %s.", name, what, supported)
		}
		return "", fault.New(fault.Unsupported, "type_mismatch", "%q is not what its name says: its content is %s. Supported are %s.", name, what, supported)
	}
	if named == "" {
		named = found
	}
	if (named == PDF) != (found == PDF) {
		return "", fault.New(fault.Unsupported, "type_mismatch", "%q is not what its name says: its content is %s. Name it accordingly.", name, describe(found))
	}
	media, _, err := mime.ParseMediaType(declared)
	if err != nil {
		media = ""
	}
	allowed, known := byDeclared[media]
	if !known && !(strings.HasPrefix(media, "text/") && named != PDF) || known && !has(allowed, named) {
		return "", fault.New(fault.Unsupported, "type_mismatch", "%q was sent as %s, but it is %s. Send the right Content-Type, or application/octet-stream.", name, declared, describe(named))
	}
	return named, nil
}

func has(all []Format, f Format) bool {
	for _, a := range all {
		if a == f {
			return true
		}
	}
	return false
}

func describe(f Format) string {
	switch f {
	case PDF:
		return "a PDF"
	case Markdown:
		return "Markdown"
	}
	return "plain text"
}

// sniffBytes tells PDF and text by their bytes; anything else is "". Text is what has no magic of its own: whether its
// encoding can be read is for Decode.
func sniffBytes(head []byte) Format {
	m := mimetype.Detect(head)
	switch {
	case m.Is("application/pdf"):
		return PDF
	case isText(m), hasBOM(head), looksUTF16(head):
		return PlainText
	case m.Is("application/octet-stream") && !hasBinary(head):
		return PlainText // an encoding that the detector does not know
	}
	return ""
}

// isText: HTML, XML, CSV, source code and all other text; in a .md or .txt file they are its text.
func isText(m *mimetype.MIME) bool {
	for ; m != nil; m = m.Parent() {
		if m.Is("text/plain") {
			return true
		}
	}
	return false
}

// hasBinary tells bytes that no text has: control characters other than white space, escape and shift (which Asian
// encodings use), or a zero.
func hasBinary(head []byte) bool {
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b && c != 0x0e && c != 0x0f {
			return true
		}
	}
	return false
}

// maxName is the most that a file name may have, in bytes.
const maxName = 200

// SafeName makes a client's file name fit to be shown: no path, no control or direction characters, not too long, never
// empty. It is display text only; nothing is stored under it.
func SafeName(client string) string {
	client = client[strings.LastIndexAny(client, `/\`)+1:]
	name := strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, norm.NFC.String(client))
	name = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(name), "."))
	if len(name) > maxName {
		ext := path.Ext(name)
		if len(ext) > 16 {
			ext = ""
		}
		cut := maxName - len(ext)
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = name[:cut] + ext
	}
	if name == "" {
		return "unnamed"
	}
	return name
}

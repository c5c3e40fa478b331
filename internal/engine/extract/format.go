package extract

import (
	"bytes"
	"mime"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"byline/internal/fault"
)

// Format is how a document's bytes are to be read. It is the file_type of the wire.
type Format string

// The formats that can be read.
const (
	PDF       Format = "pdf"
	Markdown  Format = "markdown"
	PlainText Format = "text"
	HTML      Format = "html"
)

const supported = "Supported are PDF (.pdf), web pages (.html, .htm), Markdown (.md, .markdown) and plain text (.txt, .text)."

// formatOf is the format that a file's ending promises. A name without one promises nothing.
func formatOf(ending string) (Format, bool) {
	switch ending {
	case "":
		return "", true
	case "pdf":
		return PDF, true
	case "md", "markdown", "mdown", "mkd":
		return Markdown, true
	case "html", "htm", "xhtml":
		return HTML, true
	case "txt", "text", "log":
		return PlainText, true
	}
	return "", false
}

// Sniff tells the format from what the file's name, its first bytes (some kilobytes) and its declared content type agree
// on; a missing ending and a declared type that says nothing are left out of it. What is not supported is
// fault.Unsupported: unsupported_type, or type_mismatch for what is not what it says it is.
func Sniff(name string, head []byte, declared string) (Format, error) {
	name = SafeName(name)
	ending := endingOf(name)
	format, known := formatOf(ending)
	if !known {
		return "", fault.New(fault.Unsupported, "unsupported_type", "%q: files with the ending .%s cannot be read by this version. %s", name, ending, supported)
	}
	found, what := look(head)
	if found == "" && format == "" {
		return "", fault.New(fault.Unsupported, "unsupported_type", "%q is %s, which cannot be read by this version. %s", name, what, supported)
	}
	said := declaredFormat(declared)
	switch {
	case format == "" && found == PlainText && said == Markdown:
		format = Markdown
	case format == "" && found == PlainText && (said == HTML || isPage(head)):
		format = HTML
	case format == "":
		format = found
	}
	if isText(format) != isText(found) || found == "" {
		return "", fault.New(fault.Unsupported, "type_mismatch", "%q is named like %s, but its content is %s. Give the file the right ending, or save it again as what it should be. %s",
			name, article(format), what, supported)
	}
	if said != "" && (isText(said) != isText(format) || said == HTML && format != HTML) {
		return "", fault.New(fault.Unsupported, "type_mismatch", "%q is %s, but was sent as %s. Send it with the content type that it has, or with none.",
			name, article(format), shortType(declared))
	}
	return format, nil
}

// endingOf is a name's ending in lower case. What has a space or is a number ("Report 1.2") is not one.
func endingOf(name string) string {
	dot := strings.LastIndexByte(name, '.')
	ending := strings.ToLower(name[dot+1:])
	if dot < 0 || len(ending) > maxExtension || strings.ContainsRune(ending, ' ') || strings.Trim(ending, "0123456789") == "" {
		return ""
	}
	return ending
}

func isText(f Format) bool { return f == Markdown || f == PlainText || f == HTML }

// isPage tells whether a text begins as pages of HTML do.
func isPage(head []byte) bool {
	head = bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n"))
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html"))
}

func article(f Format) string {
	switch f {
	case PDF:
		return "a PDF"
	case Markdown:
		return "a Markdown text"
	case HTML:
		return "a web page"
	}
	return "a plain text"
}

// look tells the format of the bytes alone, where "" is none of ours, and names it for people.
func look(head []byte) (found Format, what string) {
	// A PDF may have some bytes of junk before its header; a text about PDFs would not begin with it.
	if i := bytes.Index(head[:min(len(head), 1024)], []byte("%PDF-")); i == 0 || i > 0 && !readable(head) {
		return PDF, "a PDF"
	}
	if bytes.HasPrefix(head, []byte(`{\rtf`)) {
		return "", "a rich text document (RTF)"
	}
	if readable(head) {
		return PlainText, "plain text"
	}
	m := mimetype.Detect(head)
	if m.Is("application/octet-stream") || strings.HasPrefix(m.String(), "text/") {
		return "", "binary data"
	}
	return "", "of the type " + shortType(m.String())
}

// readable tells whether the head may be text in some encoding; Decode has the last word.
func readable(head []byte) bool {
	if _, _, ok := byMark(head); ok {
		return true
	}
	zeros, controls := 0, 0
	for _, c := range head {
		if c == 0 {
			zeros++
		} else if isBinary(c) {
			controls++
		}
	}
	if zeros > 0 {
		_, _, ok := unmarkedUTF16(head[:len(head)&^1], true)
		return ok
	}
	return controls*maxControls <= len(head)
}

// declaredFormat is the format that a content type names; "" for types that say nothing. A type that is neither text nor
// PDF agrees with none of ours, so it is told as its own.
func declaredFormat(declared string) Format {
	t, _, err := mime.ParseMediaType(declared)
	if err != nil {
		return ""
	}
	switch t {
	case "application/octet-stream", "binary/octet-stream", "application/x-download", "application/download", "application/force-download", "application/unknown", "*/*":
		return ""
	case "application/pdf", "application/x-pdf":
		return PDF
	case "text/markdown", "text/x-markdown", "text/x-web-markdown", "application/markdown", "application/x-markdown":
		return Markdown
	case "text/html", "application/xhtml+xml":
		return HTML
	case "text/rtf":
		return Format(t)
	}
	if strings.HasPrefix(t, "text/") {
		return PlainText
	}
	return Format(t)
}

// shortType is a content type without its parameters, short enough for a sentence.
func shortType(t string) string {
	if m, _, err := mime.ParseMediaType(t); err == nil {
		t = m
	}
	return cutName(tidyName(t))
}

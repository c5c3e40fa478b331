package extract_test

import (
	"errors"
	"strings"
	"testing"

	"byline/internal/engine/extract"
	"byline/internal/fault"
)

func TestSniff(t *testing.T) {
	const (
		pdf = "%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj\n"
		png = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
		zip = "PK\x03\x04\x14\x00\x08\x08\x00\x00\x00\x00"
	)
	for _, tt := range []struct {
		name, file, head, declared string
		want                       extract.Format
		code, says                 string // of the fault
	}{
		{name: "PDF", file: "a.pdf", head: pdf, declared: "application/pdf", want: extract.PDF},
		{name: "PDF without any claim", file: "a", head: pdf, want: extract.PDF},
		{name: "PDF behind junk", file: "a.PDF", head: "\x00\x01junk\n" + pdf, want: extract.PDF},
		{name: "PDF in ASCII", file: "a.pdf", head: "%PDF-1.4\n1 0 obj\n", declared: "application/octet-stream", want: extract.PDF},
		{name: "Markdown", file: "a.md", head: "# Title\n", declared: "text/markdown; charset=utf-8", want: extract.Markdown},
		{name: "Markdown as plain text", file: "a.markdown", head: "# Title\n", declared: "text/plain", want: extract.Markdown},
		{name: "Markdown by its declared type", file: "README", head: "# Title\n", declared: "text/markdown", want: extract.Markdown},
		{name: "text", file: "a.txt", head: "Title\n", want: extract.PlainText},
		{name: "text without an ending", file: "Report 1.2", head: "Title\n", declared: "nonsense;;", want: extract.PlainText},
		{name: "text about a PDF", file: "a.txt", head: "A file begins with %PDF-1.7\n", want: extract.PlainText},
		{name: "text that begins like a picture", file: "a.txt", head: "BM is short for a company\n", want: extract.PlainText},
		{name: "text that holds HTML", file: "a.txt", head: "<!DOCTYPE html><html>", want: extract.PlainText},
		{name: "page", file: "a.html", head: "<p>Hello", declared: "text/html; charset=utf-8", want: extract.HTML},
		{name: "page as plain text", file: "a.HTM", head: "<p>Hello", declared: "text/plain", want: extract.HTML},
		{name: "page without an ending", file: "a", head: "\xEF\xBB\xBF \n<!DOCTYPE HTML><html>", want: extract.HTML},
		{name: "page by its declared type", file: "a", head: "Hello", declared: "application/xhtml+xml", want: extract.HTML},
		{name: "UTF-16 with mark", file: "a.txt", head: "\xFF\xFEa\x00\n\x00", want: extract.PlainText},
		{name: "UTF-16 without mark, cut", file: "a.md", head: "a\x00 \x00b\x00\n\x00\x3D\xD8\x00", want: extract.Markdown},
		{name: "Windows-1252", file: "a.txt", head: "M\xFCller\n", want: extract.PlainText},
		{name: "nothing yet", file: "a.txt", head: "", want: extract.PlainText},
		{name: "path of the client", file: `C:\x.y\a.md`, head: "a", want: extract.Markdown},

		{name: "office", file: "a.docx", head: zip, code: "unsupported_type", says: "PDF (.pdf), web pages (.html, .htm), Markdown (.md"},
		{name: "picture without an ending", file: "a", head: png, code: "unsupported_type", says: "image/png"},
		{name: "picture", file: "a.png", head: png, code: "unsupported_type", says: ".png"},
		{name: "binary renamed .md", file: "a.md", head: png, code: "type_mismatch", says: "image/png"},
		{name: "unknown binary renamed .md", file: "a.md", head: "\x00\x01\x02\x03", code: "type_mismatch", says: "binary data"},
		{name: "PDF renamed .txt", file: "a.txt", head: pdf, code: "type_mismatch", says: "a PDF"},
		{name: "text renamed .pdf", file: "a.pdf", head: "Title\n", code: "type_mismatch", says: "plain text"},
		{name: "RTF renamed .txt", file: "a.txt", head: `{\rtf1 Title}`, code: "type_mismatch", says: "RTF"},
		{name: "text declared as PDF", file: "a.txt", head: "Title\n", declared: "application/pdf", code: "type_mismatch", says: "application/pdf"},
		{name: "PDF declared as text", file: "a.pdf", head: pdf, declared: "text/plain", code: "type_mismatch", says: "text/plain"},
		{name: "Markdown declared as HTML", file: "a.md", head: "# T", declared: "text/html", code: "type_mismatch", says: "text/html"},
		{name: "picture renamed .html", file: "a.html", head: png, declared: "text/html", code: "type_mismatch", says: "named like a web page"},
		{name: "PDF declared as HTML", file: "a.pdf", head: pdf, declared: "text/html", code: "type_mismatch", says: "text/html"},
		{name: "text declared as a picture", file: "a.txt", head: "T", declared: "image/png", code: "type_mismatch", says: "image/png"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := extract.Sniff(tt.file, []byte(tt.head), tt.declared)
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Kind != fault.Unsupported || f.Code != tt.code || !strings.Contains(f.Say, tt.says) {
				t.Errorf("got %v, want %s with %q", err, tt.code, tt.says)
			}
		})
	}
}

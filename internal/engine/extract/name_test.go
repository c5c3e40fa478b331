package extract_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"byline/internal/engine/extract"
)

func TestSafeName(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "report 2024.pdf", "report 2024.pdf"},
		{"path", "../../etc/passwd", "passwd"},
		{"Windows path", `C:\fakepath\notes.md`, "notes.md"},
		{"folder", "a/b/", "b"},
		{"only dots", "../..", "document"},
		{"nothing", "", "document"},
		{"only controls", "\x00\x01\r\n", "document"},
		{"line ends", "a\r\nSet-Cookie: b=c\n.md", "a Set-Cookie: b=c .md"},
		{"zero byte", "a.pdf\x00.md", "a.pdf.md"},
		{"direction override", "invoice\u202Efdp.exe", "invoicefdp.exe"},
		{"isolates, marks, zero width", "a\u2066b\u200Fc\u200Bd\uFEFF.md", "abcd.md"},
		{"joined emoji", "👩\u200D🔧 plan.md", "👩\u200D🔧 plan.md"},
		{"broken UTF-8", "caf\xE9.md", "caf.md"},
		{"composition", "Mu\u0308ller.txt", "Müller.txt"},
		{"C1 control", "a\u0085b\u009Bc", "a bc"},
		{"white space", "  a\t\u00A0 b  ", "a b"},
		{"long", strings.Repeat("a", 300) + ".md", strings.Repeat("a", 197) + ".md"},
		{"long, cut at a rune", strings.Repeat("한", 100) + ".md", strings.Repeat("한", 65) + ".md"},
		{"long without an ending", "a." + strings.Repeat("b", 300), "a." + strings.Repeat("b", 198)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := extract.SafeName(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"a/b.md", "\u202Ea", "\xff\xfe", strings.Repeat("é ", 120) + ".pdf", "u\x00\u0308"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := extract.SafeName(in)
		if got == "" || len(got) > 200 || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\") {
			t.Fatalf("unsafe: %q", got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("holds %U: %q", r, got)
			}
		}
		if again := extract.SafeName(got); again != got {
			t.Fatalf("%q became %q at the second time", got, again)
		}
	})
}

package pdf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"byline/internal/engine/extract"
	"byline/internal/engine/pdf"
	"byline/internal/engine/pdf/pdftest"
	"byline/internal/fault"
)

// library is shared by all tests: compiling is what costs.
var library *pdf.Library

func TestMain(m *testing.M) {
	ctx := context.Background()
	into, err := os.Getenv(pdftest.CompileInto), error(nil)
	if into == "" {
		into, err = pdftest.Compiled()
	}
	if err == nil {
		library, err = pdf.Open(ctx, pdf.Options{CacheDir: into, Memory: 96 << 20})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 0
	if os.Getenv(pdftest.CompileInto) == "" {
		code = m.Run()
	}
	if err := library.Close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func read(t *testing.T, content []byte) (extract.Text, error) {
	t.Helper()
	var c extract.Collector
	err := library.Extract(t.Context(), bytes.NewReader(content), int64(len(content)), 5000, &c)
	text := c.Text()
	checkText(t, text)
	return text, err
}

func mustRead(t *testing.T, d *pdftest.Doc) extract.Text {
	t.Helper()
	text, err := read(t, d.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkText checks what holds for every text: pages, elements and words lie in it, in order, at letters' borders.
func checkText(t *testing.T, text extract.Text) {
	t.Helper()
	if !utf8.ValidString(text.Content) || !norm.NFC.IsNormalString(text.Content) {
		t.Errorf("text is not normalised: %q", text.Content)
	}
	at := 0
	for _, p := range text.Pages {
		if p.Start != at {
			t.Errorf("page %d begins at %d, not %d", p.Number, p.Start, at)
		}
		at = p.End
		word := p.Start
		for _, w := range p.Words {
			if w.Start < word || w.End <= w.Start || w.End > p.End {
				t.Errorf("word %d-%d lies wrong on page %d (%d-%d)", w.Start, w.End, p.Number, p.Start, p.End)
				return
			}
			if s := text.Content[w.Start:w.End]; !utf8.ValidString(s) || strings.ContainsAny(s, " \n") {
				t.Errorf("%q is no word", s)
			}
			word = w.End
		}
	}
	if at != len(text.Content) {
		t.Errorf("pages end at %d of %d", at, len(text.Content))
	}
	at = 0
	for _, e := range text.Elements {
		if e.Start < at || e.End <= e.Start || e.End > len(text.Content) {
			t.Errorf("element %d-%d lies wrong", e.Start, e.End)
			return
		}
		at = e.End
	}
}

// outline shows a text's elements as "heading1: Words".
func outline(text extract.Text) []string {
	var out []string
	for _, e := range text.Elements {
		kind := string(e.Kind)
		if e.Level > 0 {
			kind += fmt.Sprint(e.Level)
		}
		out = append(out, kind+": "+text.Content[e.Start:e.End])
	}
	return out
}

const (
	longA = "The harbour lay quiet in the morning while the boats came in from the"
	longB = "open sea and the gulls were crying over the warehouses of the old town"
)

func TestElements(t *testing.T) {
	tests := map[string]struct {
		page func(*pdftest.Page)
		want []string
	}{
		"lines make a paragraph": {
			func(p *pdftest.Page) { p.Lines(72, 700, 11, longA, longB, "until noon.") },
			[]string{"para: " + longA + " " + longB + " until noon."},
		},
		"a gap ends it": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 11, longA, longB)
				p.Lines(72, 640, 11, longB)
			},
			[]string{"para: " + longA + " " + longB, "para: " + longB},
		},
		"an indent after a full stop ends it": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 11, longA, longB+".")
				p.Lines(86, 700-2*11*1.27, 11, longA)
			},
			[]string{"para: " + longA + " " + longB + ".", "para: " + longA},
		},
		"a short last line ends it": {
			func(p *pdftest.Page) { p.Lines(72, 700, 11, longA, "until noon.", longB) },
			[]string{"para: " + longA + " until noon.", "para: " + longB},
		},
		"headings by size": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 22, "Of Kites")
				p.Lines(72, 660, 15, "Their Tails")
				p.Lines(72, 640, 13, "Their Strings")
				p.Lines(72, 610, 11, longA, longB)
			},
			[]string{"heading1: Of Kites", "heading2: Their Tails", "heading3: Their Strings", "para: " + longA + " " + longB},
		},
		"headings by weight and number": {
			func(p *pdftest.Page) {
				p.Bold(72, 700, 11, "2.3.1 Of Kites")
				p.Lines(72, 670, 11, longA, longB)
				p.Bold(72, 620, 11, "Their Tails")
				p.Lines(72, 590, 11, longA, longB)
			},
			[]string{"heading3: 2.3.1 Of Kites", "para: " + longA + " " + longB, "heading4: Their Tails", "para: " + longA + " " + longB},
		},
		"bold text of some lines is no heading": {
			func(p *pdftest.Page) {
				p.Bold(72, 700, 11, longA, longB, longA+".")
				p.Lines(72, 600, 11, longA, longB, longA, longB)
			},
			[]string{"para: " + longA + " " + longB + " " + longA + ".", "para: " + longA + " " + longB + " " + longA + " " + longB},
		},
		"list items": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 11, "• a tail of paper", "• a string", "1. wind", "(a) luck")
			},
			[]string{"item: • a tail of paper", "item: • a string", "item: 1. wind", "item: (a) luck"},
		},
		"program text keeps its lines": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 11, longA, longB+":")
				p.Mono(90, 660, 11, "for kite := range kites {", "fly(kite)", "}")
			},
			[]string{"para: " + longA + " " + longB + ":", "code: for kite := range kites {\nfly(kite)\n}"},
		},
		"a table of contents": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 16, "1 Kites ........ 1")
				p.Lines(72, 670, 11, "1.1 Tails . . . . . . . 2", "1.2 Strings . . . . . . 3", "1.3 Wind......4")
				p.Lines(72, 620, 16, "2 Boats 9")
			},
			[]string{"item: 1 Kites 1", "item: 1.1 Tails 2", "item: 1.2 Strings 3", "item: 1.3 Wind 4", "item: 2 Boats 9"},
		},
		"hyphens at line ends": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 11, "The harbour lay quiet in the morning while the boats came in from the ware-", "house and the gulls were crying over the old town until the cold night-",
					"Time began and nobody said a word any more about the storm of the year 19-", "20.")
			},
			[]string{"para: The harbour lay quiet in the morning while the boats came in from the warehouse and the gulls were crying over the old town until the cold " +
				"night-Time began and nobody said a word any more about the storm of the year 19- 20."},
		},
		"a superscript stays in its line": {
			func(p *pdftest.Page) {
				p.Raw("BT /F1 11 Tf 72 700 Td (Kites fly) Tj /F1 7 Tf 4 Ts (2) Tj /F1 11 Tf 0 Ts ( higher than gulls.) Tj ET\n")
			},
			[]string{"para: Kites fly2 higher than gulls."},
		},
		"two columns in the stream's order": {
			func(p *pdftest.Page) {
				p.Lines(72, 700, 11, "The left column has a", "sentence that goes on in")
				p.Lines(320, 700, 11, "the right column, where it", "ends at last.")
			},
			[]string{"para: The left column has a sentence that goes on in the right column, where it ends at last."},
		},
		"letters outside of ASCII": {
			func(p *pdftest.Page) { p.Lines(72, 700, 11, "Müller aß Crème brûlée.") },
			[]string{"para: Müller aß Crème brûlée."},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &pdftest.Doc{Deflate: true}
			tt.page(d.Page())
			if diff := cmp.Diff(tt.want, outline(mustRead(t, d))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKnownSentence(t *testing.T) {
	d := &pdftest.Doc{Title: "  A  History\nof Kites "}
	for n := 1; n <= 40; n++ {
		d.Text(longA, longB, fmt.Sprintf("The kite number %d was seen by nobody.", n))
	}
	text := mustRead(t, d)
	if text.Title != "A History of Kites" || text.Info.Pages != 40 || len(text.Pages) != 40 {
		t.Errorf("title %q, %d pages", text.Title, len(text.Pages))
	}
	at := strings.Index(text.Content, "The kite number 37 ")
	p := text.Pages[36]
	if at < p.Start || at >= p.End || p.Number != 37 || p.Width != 595 || p.Height != 842 {
		t.Errorf("sentence at %d is not on page %+v", at, p)
	}
	if !strings.HasSuffix(text.Content[:p.End], ".\n\n") {
		t.Error("page does not end with an empty line")
	}
}

func TestTitlesOfPrograms(t *testing.T) {
	for _, title := range []string{"", "Microsoft Word - report.doc", "untitled", "...", strings.Repeat("x", 3000)} {
		d := &pdftest.Doc{Title: title}
		d.Text(longA)
		if got := mustRead(t, d).Title; got != "" {
			t.Errorf("title %q", got)
		}
	}
}

func TestBoxes(t *testing.T) {
	tests := map[string]struct {
		page          func(*pdftest.Page)
		width, height float32
		want          extract.Word // of the word "kite"; its lower left corner counts
	}{
		"upright":         {func(p *pdftest.Page) {}, 595, 842, extract.Word{X0: 100, Y1: 142}},
		"quarter turn":    {func(p *pdftest.Page) { p.With("/Rotate 90") }, 842, 595, extract.Word{X0: 700, Y0: 100}},
		"half turn":       {func(p *pdftest.Page) { p.With("/Rotate 180") }, 595, 842, extract.Word{X1: 495, Y0: 700}},
		"three quarters":  {func(p *pdftest.Page) { p.With("/Rotate 270") }, 842, 595, extract.Word{X1: 142, Y1: 495}},
		"cropped":         {func(p *pdftest.Page) { p.With("/CropBox [50 600 400 800]") }, 350, 200, extract.Word{X0: 50, Y1: 100}},
		"crop too large":  {func(p *pdftest.Page) { p.With("/CropBox [-50 -50 900 900]") }, 595, 842, extract.Word{X0: 100, Y1: 142}},
		"scaled by units": {func(p *pdftest.Page) { p.With("/CropBox [100 700 200 800]") }, 100, 100, extract.Word{X0: 0, Y1: 100}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := &pdftest.Doc{}
			p := d.Page().Lines(100, 700, 20, "kite")
			tt.page(p)
			page := mustRead(t, d).Pages[0]
			if page.Width != tt.width || page.Height != tt.height || len(page.Words) != 1 {
				t.Fatalf("page %+v", page)
			}
			w := page.Words[0]
			near := func(what string, got, want float32) {
				if want != 0 && (got < want-6 || got > want+6) { // the box goes a little below the base line
					t.Errorf("%s = %g, want about %g", what, got, want)
				}
			}
			near("x0", w.X0, tt.want.X0)
			near("y0", w.Y0, tt.want.Y0)
			near("x1", w.X1, tt.want.X1)
			near("y1", w.Y1, tt.want.Y1)
			if w.X1 <= w.X0 || w.Y1 <= w.Y0 {
				t.Errorf("box %+v is empty", w)
			}
		})
	}
}

func TestOutsideOfThePage(t *testing.T) {
	d := &pdftest.Doc{}
	d.Page().Lines(72, 700, 11, "Seen by all.").Lines(72, 2000, 11, "Hidden above.").Lines(-500, 600, 11, "Hidden left.").With("/CropBox [0 650 595 842]").Lines(72, 100, 11, "Cut off.").
		Mono(72, 690, 20, "Runs"+strings.Repeat("off", 30))
	if diff := cmp.Diff([]string{"para: Seen by all.", "code: Runs" + strings.Repeat("off", 13) + "o"}, outline(mustRead(t, d))); diff != "" {
		t.Error(diff)
	}
}

func TestRunningLines(t *testing.T) {
	d := &pdftest.Doc{}
	for n := 1; n <= 9; n++ {
		p := d.Page().Lines(72, 810, 9, "A History of Kites").Lines(72, 600, 11, longA, longB)
		switch {
		case n == 5:
			p.Lines(290, 30, 9, fmt.Sprintf("- %d -", n))
		case n%2 == 0:
			p.Lines(72, 30, 9, fmt.Sprintf("%d Chapter of Kites", n))
		default:
			p.Lines(72, 30, 9, fmt.Sprintf("Of Section %d kites %d", n/3, n))
		}
	}
	d.Page().Lines(72, 810, 9, "A History of Kites")
	text := mustRead(t, d)
	want := slices.Repeat([]string{"para: " + longA + " " + longB}, 9)
	want = append(want, "para: A History of Kites")
	if diff := cmp.Diff(want, outline(text)); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	d := &pdftest.Doc{}
	d.Text("The first page.")
	d.Text("Lost.").Lose()
	d.Page().Picture(100, 100, 300, 300)
	d.Page()
	d.Text("The last page.")
	text := mustRead(t, d)
	var got []string
	for _, p := range text.Pages {
		got = append(got, p.Problem)
	}
	if diff := cmp.Diff([]string{"", "bad_page", "no_text", "no_text", ""}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"para: The first page.", "para: The last page."}, outline(text)); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	good := &pdftest.Doc{}
	good.Text(longA)
	locked := &pdftest.Doc{Locked: true}
	locked.Text(longA)
	many := &pdftest.Doc{}
	for range 5001 {
		many.Page()
	}
	tests := map[string]struct {
		content []byte
		want    string
	}{
		"empty":          {nil, "broken_document"},
		"no PDF":         {[]byte("%PDF-1.4\nthis is no PDF at all"), "broken_document"},
		"cut off":        {good.Bytes()[:60], "broken_document"},
		"no pages":       {(&pdftest.Doc{}).Bytes(), "broken_document"},
		"password":       {locked.Bytes(), "password_required"},
		"too many pages": {many.Bytes(), "too_many_pages"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, tt.content)
			f := fault.Of(err)
			if f.Code != tt.want || f.Kind != fault.Invalid || !strings.HasSuffix(f.Say, ".") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestFlateBomb: a page that unpacks to more than there is memory costs that page only.
func TestFlateBomb(t *testing.T) {
	d := &pdftest.Doc{Deflate: true}
	d.Text("Before the bomb.")
	d.Page().Raw(strings.Repeat(" ", 200<<20))
	d.Text("Behind the bomb.")
	text := mustRead(t, d)
	if diff := cmp.Diff([]string{"para: Before the bomb.", "para: Behind the bomb."}, outline(text)); diff != "" {
		t.Error(diff)
	}
	if text.Pages[1].Problem == "" {
		t.Error("the bomb has no problem")
	}
}

// A document of which no page gives text is refused by what its pages suffer from; empty pages and pictures are no fault of
// the document's.
func TestNothingReadable(t *testing.T) {
	bomb := strings.Repeat(" ", 200<<20)
	for name, tt := range map[string]struct {
		make func(*pdftest.Doc)
		want string
	}{
		"a bomb alone":                  {func(d *pdftest.Doc) { d.Page().Raw(bomb) }, "out_of_memory"},
		"a bomb beside a picture":       {func(d *pdftest.Doc) { d.Page().Picture(0, 0, 100, 100); d.Page().Raw(bomb) }, "out_of_memory"},
		"a lost page alone":             {func(d *pdftest.Doc) { d.Page().Lose() }, "unreadable_pages"},
		"a picture":                     {func(d *pdftest.Doc) { d.Page().Picture(0, 0, 100, 100) }, ""},
		"a bomb beside words":           {func(d *pdftest.Doc) { d.Text("Words."); d.Page().Raw(bomb) }, ""},
		"blank pages":                   {func(d *pdftest.Doc) { d.Page(); d.Page().Raw(strings.Repeat(" ", 20<<20)) }, "empty_text"},
		"a blank page beside a picture": {func(d *pdftest.Doc) { d.Page(); d.Page().Picture(0, 0, 100, 100) }, ""},
		"letters that mean nothing":     {func(d *pdftest.Doc) { d.Text("\x01\x02\x03\x04\x05") }, "unreadable_font"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &pdftest.Doc{Deflate: true}
			tt.make(d)
			_, err := read(t, d.Bytes())
			code := ""
			if err != nil {
				code = fault.Of(err).Code
			}
			if code != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestSinkEnds: an error of the sink ends the reading and comes back.
func TestSinkEnds(t *testing.T) {
	d := &pdftest.Doc{}
	for range 10 {
		d.Text(longA)
	}
	content := d.Bytes()
	for _, limit := range []int{0, 1, 9} {
		err := library.Extract(t.Context(), bytes.NewReader(content), int64(len(content)), 0, &stubborn{left: limit})
		if !errors.Is(err, errEnough) {
			t.Errorf("after %d parts: %v", limit, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := library.Extract(ctx, bytes.NewReader(content), int64(len(content)), 0, &extract.Collector{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

var errEnough = errors.New("enough")

type stubborn struct{ left int }

func (s *stubborn) Begin(extract.Info) error { return s.take() }
func (s *stubborn) Part(extract.Part) error  { return s.take() }

func (s *stubborn) take() error {
	if s.left--; s.left < 0 {
		return errEnough
	}
	return nil
}

func TestRender(t *testing.T) {
	d := &pdftest.Doc{}
	d.Page().Picture(0, 421, 297.5, 421) // the upper left quarter is grey
	content := d.Bytes()
	src := bytes.NewReader(content)
	b, err := library.Render(t.Context(), src, int64(len(content)), 1, 72)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Bounds().Size(); got.X != 595 || got.Y != 842 {
		t.Errorf("size %v", got)
	}
	grey, _, _, alpha := img.At(100, 100).RGBA()
	white, _, _, _ := img.At(500, 700).RGBA()
	if grey>>8 != 0x80 || white>>8 != 0xff || alpha>>8 != 0xff {
		t.Errorf("grey is %x, white is %x, alpha is %x", grey, white, alpha)
	}
	for name, tt := range map[string]struct {
		page, dpi int
		want      string
	}{
		"page 0":    {0, 72, "page_not_found"},
		"page 2":    {2, 72, "page_not_found"},
		"too large": {1, 2400, "page_too_large"},
		"no dots":   {1, 0, "page_too_large"},
	} {
		if _, err := library.Render(t.Context(), src, int64(len(content)), tt.page, tt.dpi); fault.Of(err).Code != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package extract

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding/htmlindex"

	"byline/internal/fault"
)

// Decode reads a text in whatever encoding it is, and normalises it: NFC, line ends \n, no control characters but tabs
// and line ends, no byte order mark; a form feed becomes a blank line. It also names the encoding, as the WHATWG does.
// The same bytes always give the same text. What cannot be read for certain is refused: empty_file, binary_content, or
// bad_encoding.
func Decode(b []byte) (text, encoding string, err error) {
	if len(b) == 0 {
		return "", "", fault.New(fault.Invalid, "empty_file", "The file is empty. Upload a file with content.")
	}
	raw, encoding, err := decode(b)
	if err != nil {
		return "", "", err
	}
	return Normalize(raw), encoding, nil
}

func decode(b []byte) (string, string, error) {
	if s, name, ok := byMark(b); ok {
		return s.read(name)
	}
	if bytes.IndexByte(b, 0) >= 0 {
		if s, name, ok := unmarkedUTF16(b, false); ok {
			return s, name, nil
		}
		return "", "", binaryContent(bytes.IndexByte(b, 0))
	}
	if at := tooManyControls(b); at >= 0 {
		return "", "", binaryContent(at)
	}
	if utf8.Valid(b) {
		if s, ok := escaped(b); ok {
			return s, "iso-2022-jp", nil
		}
		return string(b), "utf-8", nil
	}
	if at, mostly := mostlyUTF8(b); mostly {
		return "", "", fault.New(fault.Invalid, "bad_encoding",
			"The file is in UTF-8 but for its byte %d: it was damaged, or put together from files with different encodings. Save it again as UTF-8.", at+1)
	}
	if s, name, ok := legacy(b); ok {
		return s, name, nil
	}
	return "", "", fault.New(fault.Invalid, "bad_encoding", "It cannot be told in which encoding the text was saved. Save it again as UTF-8.")
}

func binaryContent(at int) error {
	return fault.New(fault.Invalid, "binary_content", "The file holds binary data (first at byte %d) and no text. Upload it under its right type.", at+1)
}

// marked is what follows a byte order mark.
type marked struct {
	body []byte
	unit int // bytes
	end  binary.ByteOrder
}

// byMark knows the encoding by its byte order mark.
func byMark(b []byte) (marked, string, bool) {
	for _, m := range []struct {
		mark, name string
		unit       int
		end        binary.ByteOrder
	}{
		{"\xEF\xBB\xBF", "utf-8", 1, nil},
		{"\xFF\xFE\x00\x00", "utf-32le", 4, binary.LittleEndian},
		{"\x00\x00\xFE\xFF", "utf-32be", 4, binary.BigEndian},
		{"\xFF\xFE", "utf-16le", 2, binary.LittleEndian},
		{"\xFE\xFF", "utf-16be", 2, binary.BigEndian},
	} {
		if len(b) >= len(m.mark) && string(b[:len(m.mark)]) == m.mark {
			return marked{b[len(m.mark):], m.unit, m.end}, m.name, true
		}
	}
	return marked{}, "", false
}

// read decodes what follows the mark.
func (m marked) read(name string) (string, string, error) {
	var s string
	bad := -1 // offset in body
	switch m.unit {
	case 1:
		s = string(m.body)
		if !utf8.ValidString(s) {
			bad, _ = mostlyUTF8(m.body)
		}
	case 2:
		s, bad = fromUTF16(m.body, m.end)
	case 4:
		s, bad = fromUTF32(m.body, m.end)
	}
	if bad >= 0 {
		return "", "", fault.New(fault.Invalid, "bad_encoding", "The file is marked as %s, but from byte %d of its text on it is not. It may be damaged; save it again as UTF-8.",
			strings.ToUpper(name), bad+1)
	}
	if at := tooManyControls([]byte(s)); at >= 0 {
		return "", "", binaryContent(at)
	}
	return s, name, nil
}

// fromUTF16 decodes b, and tells where it is not UTF-16 (-1: nowhere).
func fromUTF16(b []byte, order binary.ByteOrder) (s string, bad int) {
	out := make([]byte, 0, len(b))
	i := 0
	for ; i+1 < len(b); i += 2 {
		r := rune(order.Uint16(b[i:]))
		if utf16.IsSurrogate(r) {
			if i+3 >= len(b) {
				return "", i
			}
			r = utf16.DecodeRune(r, rune(order.Uint16(b[i+2:])))
			if r == utf8.RuneError {
				return "", i
			}
			i += 2
		}
		out = utf8.AppendRune(out, r)
	}
	if i < len(b) {
		return "", i
	}
	return string(out), -1
}

// fromUTF32 is fromUTF16 for units of four bytes.
func fromUTF32(b []byte, order binary.ByteOrder) (s string, bad int) {
	out := make([]byte, 0, len(b)/2)
	i := 0
	for ; i+3 < len(b); i += 4 {
		r := order.Uint32(b[i:])
		if r > unicode.MaxRune || !utf8.ValidRune(rune(r)) {
			return "", i
		}
		out = utf8.AppendRune(out, rune(r))
	}
	if i < len(b) {
		return "", i
	}
	return string(out), -1
}

// unmarkedUTF16 knows UTF-16 without a mark by its spaces and line ends, which have a zero byte on one side; nearly all
// runes must then be such as texts have. A head may end within a rune.
func unmarkedUTF16(b []byte, head bool) (text, name string, ok bool) {
	little, big := 0, 0
	for i := 0; i+1 < len(b); i += 2 {
		switch [2]byte{b[i], b[i+1]} {
		case [2]byte{' ', 0}, [2]byte{'\n', 0}:
			little++
		case [2]byte{0, ' '}, [2]byte{0, '\n'}:
			big++
		}
	}
	order, name := binary.ByteOrder(binary.LittleEndian), "utf-16le"
	if big > little {
		order, name = binary.BigEndian, "utf-16be"
	}
	s, bad := fromUTF16(b, order)
	if head && bad == len(b)-2 {
		s, bad = fromUTF16(b[:bad], order)
	}
	if bad >= 0 || little == big || !plausible(s) {
		return "", "", false
	}
	return s, name, true
}

// plausible tells whether nearly all runes are such as texts have: no controls, nothing private or unassigned.
func plausible(s string) bool {
	odd, all := 0, 0
	for _, r := range s {
		all++
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) {
			odd++
		}
	}
	return odd*100 <= all
}

// maxControls: one control character in so many bytes is a slip, more are binary data.
const maxControls = 50

// isBinary tells whether a byte is a control character that texts do not have; tab to carriage return, the end of a DOS
// file, and escape are not.
func isBinary(c byte) bool {
	return c < ' ' && (c < '\t' || c > '\r') && c != 0x1A && c != 0x1B || c == 0x7F
}

// tooManyControls gives the place of the first one when there are, else -1.
func tooManyControls(b []byte) int {
	n, first := 0, -1
	for i, c := range b {
		if c >= ' ' && c != 0x7F || !isBinary(c) {
			continue
		}
		if n++; first < 0 {
			first = i
		}
	}
	if n*maxControls > len(b) {
		return first
	}
	return -1
}

// escaped reads ISO-2022-JP, which is ASCII with escapes.
func escaped(b []byte) (string, bool) {
	if !bytes.Contains(b, []byte("\x1B$")) {
		return "", false
	}
	return strictly(b, "iso-2022-jp")
}

// mostlyUTF8 tells where b is not UTF-8, and whether most of what is not ASCII is.
func mostlyUTF8(b []byte) (first int, mostly bool) {
	good, bad := 0, 0
	first = -1
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			if bad++; first < 0 {
				first = i
			}
		} else {
			good += n
		}
		i += n
	}
	return first, good > 4*bad
}

// legacy reads the encodings of before Unicode. A text with few bytes beyond ASCII is one of an alphabet like ours; for
// others the detector is asked, and what it says is checked against the whole text.
func legacy(b []byte) (text, name string, ok bool) {
	sample, share := highLines(b)
	page, sure := bestPage(sample)
	if sure && share < 0.2 {
		if s, ok := strictly(b, page); ok {
			return s, page, true
		}
	}
	for _, guess := range chardet.DetectAll(sample) {
		label := strings.ToLower(guess.Charset)
		switch {
		case label == "gb2312":
			label = "gb18030" // the one that holds the others
		case label == "cp949":
			label = "euc-kr"
		case guess.Confidence < 0.6 || isLatin(label):
			continue
		}
		if s, ok := strictly(b, label); ok && plausible(s) {
			return s, canonical(label), true
		}
	}
	if sure {
		if s, ok := strictly(b, page); ok {
			return s, page, true
		}
	}
	return "", "", false
}

// isLatin names the encodings that bestPage knows better than the detector.
func isLatin(label string) bool {
	return strings.HasPrefix(label, "iso-8859-1") || label == "iso-8859-9" || label == "iso-8859-2" ||
		label == "windows-1252" || label == "windows-1250" || label == "windows-1254" || label == "windows-1257" || label == "macintosh"
}

// sampleBytes is how much an encoding is told from.
const sampleBytes = 64 << 10

// highLines gathers the lines that have bytes beyond ASCII, and tells the share of such bytes among all that are not white.
func highLines(b []byte) (sample []byte, share float64) {
	high, solid := 0, 0
	for line := range bytes.Lines(b) {
		if len(sample) >= sampleBytes {
			break
		}
		if !bytes.ContainsFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) {
			continue
		}
		line = line[:min(len(line), sampleBytes)]
		for _, c := range line {
			if c >= utf8.RuneSelf {
				high++
			}
			if c > ' ' {
				solid++
			}
		}
		sample = append(sample, line...)
	}
	return sample, float64(high) / float64(max(solid, 1))
}

// strictly decodes b; not ok when a byte does not belong.
func strictly(b []byte, label string) (string, bool) {
	e, err := htmlindex.Get(label)
	if err != nil {
		return "", false
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil || bytes.Contains(out, []byte("\uFFFD")) {
		return "", false
	}
	return string(out), true
}

// canonical is the WHATWG's name for a label.
func canonical(label string) string {
	if e, err := htmlindex.Get(label); err == nil {
		if name, err := htmlindex.Name(e); err == nil {
			return name
		}
	}
	return label
}

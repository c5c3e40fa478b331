package extract

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/korean"
	xunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/unicode/norm"

	"byline/internal/fault"
)

var boms = []struct {
	mark []byte
	name string
}{{[]byte("\xef\xbb\xbf"), "utf-8"}, {[]byte("\xff\xfe"), "utf-16le"}, {[]byte("\xfe\xff"), "utf-16be"}}

func hasBOM(b []byte) bool {
	for _, m := range boms {
		if bytes.HasPrefix(b, m.mark) {
			return true
		}
	}
	return false
}

// looksUTF16 tells UTF-16 without a mark: of text in Latin script, every second byte is zero.
func looksUTF16(b []byte) bool { return utf16Order(b) != nil }

func utf16Order(b []byte) binary.ByteOrder {
	if len(b) < 4 {
		return nil
	}
	b = b[:min(len(b)&^1, 4096)]
	var even, odd int
	for i := 0; i < len(b); i += 2 {
		if b[i] == 0 {
			even++
		}
		if b[i+1] == 0 {
			odd++
		}
	}
	switch half := len(b) / 2; {
	case odd*10 >= half*4 && even*20 <= half:
		return binary.LittleEndian
	case even*10 >= half*4 && odd*20 <= half:
		return binary.BigEndian
	}
	return nil
}

// Decode reads a text in any common encoding and normalises it: NFC, lines that end in \n, no control characters but tab
// and line feed, no byte order mark. name is the encoding's. What cannot be read without guessing wildly is refused.
func Decode(b []byte) (text, name string, err error) {
	if len(b) == 0 {
		return "", "", fault.New(fault.Invalid, "empty_file", "The file is empty.")
	}
	text, name, err = decode(b)
	if err != nil {
		return "", "", err
	}
	if garbled(text) {
		return "", "", badEncoding()
	}
	return Normalize(text), name, nil
}

func badEncoding() error {
	return fault.New(fault.Invalid, "bad_encoding", "The encoding of this text cannot be told. Save it as UTF-8 and upload it again.")
}

func decode(b []byte) (text, name string, err error) {
	for _, m := range boms {
		if !bytes.HasPrefix(b, m.mark) {
			continue
		}
		if m.name == "utf-8" {
			if b = b[len(m.mark):]; !utf8.Valid(b) {
				return "", "", badEncoding()
			}
			return string(b), m.name, nil
		}
		return decodeUTF16(b[2:], m.name)
	}
	switch order := utf16Order(b); {
	case order == binary.LittleEndian:
		return decodeUTF16(b, "utf-16le")
	case order != nil:
		return decodeUTF16(b, "utf-16be")
	case bytes.IndexByte(b, 0) >= 0:
		return "", "", fault.New(fault.Invalid, "binary_content", "This is no text: it has zero bytes in it.")
	case utf8.Valid(b):
		return string(b), "utf-8", nil
	}
	return decodeLegacy(b)
}

func decodeUTF16(b []byte, name string) (string, string, error) {
	if len(b)%2 != 0 {
		return "", "", badEncoding()
	}
	order := xunicode.LittleEndian
	if name == "utf-16be" {
		order = xunicode.BigEndian
	}
	out, err := xunicode.UTF16(order, xunicode.IgnoreBOM).NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return "", "", badEncoding()
	}
	return string(out), name, nil
}

// decodeLegacy tries what the detector says, then the encodings that are most likely, and takes the first that reads
// everything as text.
func decodeLegacy(b []byte) (string, string, error) {
	sample := b[:min(len(b), 64<<10)]
	var candidates []string
	if r := chardet.Detect(sample); r.Confidence >= 0.5 && r.Encoding != "" {
		candidates = append(candidates, r.Encoding)
	}
	candidates = append(candidates, "euc-kr", "shift_jis", "gb18030", "windows-1252")
	multibyte := manyHighPairs(sample)
	for _, c := range candidates {
		e, name := lookup(c)
		if e == nil || multibyte && isSingleByte(name) && name != "windows-1251" {
			continue
		}
		if !multibyte && !isSingleByte(name) {
			continue
		}
		out, err := e.NewDecoder().Bytes(b)
		if err == nil && !bytes.ContainsRune(out, utf8.RuneError) && !garbled(string(out)) {
			return string(out), name, nil
		}
	}
	return "", "", badEncoding()
}

func lookup(label string) (encoding.Encoding, string) {
	label = strings.ToLower(label)
	switch label {
	case "euc-kr", "cp949", "uhc", "windows-949":
		return korean.EUCKR, "euc-kr"
	case "ascii":
		return nil, ""
	case "iso-8859-1", "iso8859-1":
		return charmap.Windows1252, "windows-1252" // as browsers do
	}
	e, name := charset.Lookup(label)
	return e, name
}

func isSingleByte(name string) bool {
	return strings.HasPrefix(name, "windows-") || strings.HasPrefix(name, "iso-8859") || strings.HasPrefix(name, "koi8") || name == "macintosh" || name == "ibm866"
}

// manyHighPairs tells encodings of two bytes a letter from Latin ones: in those, letters above ASCII mostly stand alone.
func manyHighPairs(b []byte) bool {
	high, pairs := 0, 0
	for i := 0; i < len(b); i++ {
		if b[i] < 0x80 {
			continue
		}
		high++
		if i+1 < len(b) && b[i+1] >= 0x80 {
			pairs++
			high++
			i++
		}
	}
	return high > 0 && pairs*2*10 >= high*7
}

// garbled tells text with control characters or holes that no encoding of a real text gives.
func garbled(s string) bool {
	bad, n := 0, 0
	for _, r := range s {
		if n++; n > 64<<10 {
			break
		}
		if r == utf8.RuneError || r >= 0x80 && r < 0xa0 || r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != '\v' && r != 0x1b {
			bad++
		}
	}
	return bad*50 > n
}

// Normalize brings a text to the form in which it is stored and cited: NFC, \n, no control characters but tab and line feed.
// It does nothing to a text that has this form already.
func Normalize(s string) string {
	if clean(s) {
		return s
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n\n", "\f", "\n\n", "\v", "\n").Replace(s)
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) && r != '\ufeff' && r != utf8.RuneError {
			return r
		}
		return -1
	}, s)
	return norm.NFC.String(s)
}

func clean(s string) bool {
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
		ascii = ascii && c < 0x80
	}
	if ascii {
		return true
	}
	return norm.NFC.IsNormalString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x80 && r < 0xa0 || r == '\ufeff' || r == utf8.RuneError || r == '\u2028' || r == '\u2029'
	})
}

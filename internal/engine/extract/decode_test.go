package extract_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
	"golang.org/x/text/unicode/norm"

	"byline/internal/engine/extract"
	"byline/internal/fault"
)

const (
	english    = "The library used 89 MWh of electricity in 2024.\nThat is less than the year before.\n"
	german     = "Die Bücherei wurde größer, wärmer und schöner.\nDie Erneuerung kostete 1,68 Mio. Euro – etwas mehr als geplant.\n"
	french     = "La bibliothèque a été rénovée l’année dernière.\nLe café coûte très cher à côté : « trois euros ».\n"
	spanish    = "¿Cuánto costó la biblioteca? El año pasado, más de un millón.\nLa energía bajó un 42 %.\n"
	danish     = "Biblioteket på Mølleå brugte mindre strøm end året før.\nDet er første gang, at tallet falder så meget.\n"
	portuguese = "A biblioteca não gastou tanta energia no inverno.\nA renovação custou três milhões, e a câmara pagou a metade.\n"
	polish     = "Zażółć gęślą jaźń. Biblioteka zużyła mniej energii niż rok wcześniej.\nKażdy może wejść i wyjść.\n"
	czech      = "Příliš žluťoučký kůň úpěl ďábelské ódy.\nKnihovna spotřebovala méně energie než předloni.\n"
	hungarian  = "A könyvtár kevesebb energiát használt, mint tavaly.\nAz árvíztűrő tükörfúrógép működik.\n"
	turkish    = "Kütüphane geçen yıla göre daha az enerji kullandı.\nŞimdi ısınma giderleri düşüyor, çünkü çatı yalıtıldı.\n"
	icelandic  = "Bókasafnið notaði minni orku en árið áður.\nÞað er ódýrara að hita húsið núna og þar er hlýrra.\n"
	lithuanian = "Biblioteka sunaudojo mažiau energijos nei pernai.\nŠildymas pigesnis, nes stogas apšiltintas ir įrengti siurbliai.\n"
	arabic     = "استخدمت المكتبة طاقة أقل من العام الماضي.\nوكان الشتاء أكثر دفئا.\n"
	korean1    = "도서관은 2024년에 119메가와트시의 열을 사용했다.\n전해에 비하면 42퍼센트가 줄어든 것이다.\n"
	korean2    = "똠방각하와 펲시콜라, 믜리도 괴리도 업시 쏼라쏼라 뷁. 그래서 사람들은 그 말을 다시 찾아보았다고 한다.\n"
	japanese1  = "図書館は2024年に119メガワット時の熱を使った。\n前の年に比べて42パーセント減ったのである。\n"
	simplified = "图书馆在2024年使用了119兆瓦时的热量。\n与上一年相比减少了百分之四十二。\n"
	rareHan    = "图书馆在2024年使用了119兆瓦时的热量，与上一年相比减少了百分之四十二。𠮷野家的人都知道这件事。\n"
	tradition  = "圖書館在2024年使用了119兆瓦時的熱量。\n與上一年相比減少了百分之四十二。\n"
	russian    = "В 2024 году библиотека использовала 119 мегаватт-часов тепла.\nЭто на 42 процента меньше.\n"
	greek      = "Η βιβλιοθήκη χρησιμοποίησε λιγότερη ενέργεια από πέρυσι.\nΗ στέγη ανακαινίστηκε.\n"
	hebrew     = "הספרייה השתמשה בפחות אנרגיה מאשר בשנה שעברה.\nהגג בודד מחדש.\n"
	thai       = "ห้องสมุดใช้พลังงานน้อยกว่าปีที่แล้ว\nหลังคาได้รับการซ่อมแซมแล้ว\n"
)

func encode(t *testing.T, e encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatalf("encode the example: %v", err)
	}
	return b
}

func TestDecodeReadsEncodings(t *testing.T) {
	little := func(m unicode.BOMPolicy) encoding.Encoding { return unicode.UTF16(unicode.LittleEndian, m) }
	big := func(m unicode.BOMPolicy) encoding.Encoding { return unicode.UTF16(unicode.BigEndian, m) }
	for _, tt := range []struct {
		name     string
		encoding encoding.Encoding
		text     string
		want     string
	}{
		{"ASCII", unicode.UTF8, english, "utf-8"},
		{"UTF-8", unicode.UTF8, german + korean1, "utf-8"},
		{"UTF-8 with mark", unicode.UTF8BOM, french, "utf-8"},
		{"UTF-16 LE with mark", little(unicode.UseBOM), korean1, "utf-16le"},
		{"UTF-16 BE with mark", big(unicode.UseBOM), japanese1 + "😀", "utf-16be"},
		{"UTF-16 LE", little(unicode.IgnoreBOM), english, "utf-16le"},
		{"UTF-16 BE", big(unicode.IgnoreBOM), english, "utf-16be"},
		{"UTF-16 LE of Korean", little(unicode.IgnoreBOM), korean1, "utf-16le"},
		{"UTF-16 BE of Chinese", big(unicode.IgnoreBOM), simplified + "😀", "utf-16be"},
		{"UTF-32 LE with mark", utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), german + "😀", "utf-32le"},
		{"UTF-32 BE with mark", utf32.UTF32(utf32.BigEndian, utf32.UseBOM), german, "utf-32be"},
		{"EUC-KR", korean.EUCKR, korean1, "euc-kr"},
		{"CP949", korean.EUCKR, korean2, "euc-kr"},
		{"EUC-KR in English", korean.EUCKR, english + "The Korean word for library is 도서관, and for heat it is 열이라고 한다.\n", "euc-kr"},
		{"Shift JIS", japanese.ShiftJIS, japanese1, "shift_jis"},
		{"EUC-JP", japanese.EUCJP, japanese1, "euc-jp"},
		{"ISO-2022-JP", japanese.ISO2022JP, japanese1, "iso-2022-jp"},
		{"GBK", simplifiedchinese.GBK, simplified, "gb18030"},
		{"GB18030", simplifiedchinese.GB18030, rareHan, "gb18030"},
		{"Big5", traditionalchinese.Big5, tradition, "big5"},
		{"Windows-1251", charmap.Windows1251, russian, "windows-1251"},
		{"KOI8-R", charmap.KOI8R, russian, "koi8-r"},
		{"Greek", charmap.ISO8859_7, greek, "iso-8859-7"},
		{"Hebrew", charmap.Windows1255, hebrew, "windows-1255"},
		{"Arabic", charmap.Windows1256, arabic, "windows-1256"},
		{"Thai", charmap.Windows874, thai, "windows-874"},
		{"German", charmap.Windows1252, german, "windows-1252"},
		{"French", charmap.Windows1252, french, "windows-1252"},
		{"Spanish", charmap.Windows1252, spanish, "windows-1252"},
		{"Danish", charmap.Windows1252, danish, "windows-1252"},
		{"Portuguese", charmap.ISO8859_1, portuguese, "windows-1252"},
		{"Icelandic", charmap.Windows1252, icelandic, "windows-1252"},
		{"Latin-1", charmap.ISO8859_1, "Das Café heißt Straßenblick, sagt man.\n", "windows-1252"},
		{"one letter", charmap.ISO8859_1, "The café and nothing else.", "windows-1252"},
		{"quotes only", charmap.Windows1252, "He said: “It’s done” – and left…\n", "windows-1252"},
		{"square metres", charmap.Windows1252, "The roof has 310 m² at ±2 °C, says J. Müller.\n", "windows-1252"},
		{"names from everywhere", charmap.Windows1252, "Åse Øystein, José Núñez, François Müller, João and Zoë.\n", "windows-1252"},
		{"Polish", charmap.Windows1250, polish, "windows-1250"},
		{"Polish, ISO", charmap.ISO8859_2, polish, "iso-8859-2"},
		{"Czech", charmap.Windows1250, czech, "windows-1250"},
		{"Hungarian", charmap.Windows1250, hungarian, "windows-1250"},
		{"Turkish", charmap.Windows1254, turkish, "windows-1254"},
		{"Lithuanian", charmap.Windows1257, lithuanian, "windows-1257"},
		{"Macintosh", charmap.Macintosh, french, "macintosh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, name, err := extract.Decode(encode(t, tt.encoding, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if name != tt.want {
				t.Errorf("read as %s, want %s", name, tt.want)
			}
			if text != norm.NFC.String(tt.text) {
				t.Errorf("read %q, want %q", text, tt.text)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	eucKR := encode(t, korean.EUCKR, korean1)
	garbage := make([]byte, 4096) // the same for ever
	state := uint32(1)
	for i := range garbage {
		state = state*1664525 + 1013904223
		garbage[i] = byte(state >> 24)
	}
	for _, tt := range []struct {
		name string
		in   []byte
		code string
	}{
		{"nothing", nil, "empty_file"},
		{"zero bytes in a text", []byte("some text\x00and more of it\x00"), "binary_content"},
		{"only zero bytes", make([]byte, 100), "binary_content"},
		{"zip", []byte("PK\x03\x04\x14\x00\x08\x08\x00\x00abcdefgh"), "binary_content"},
		{"garbage", garbage, "binary_content"},
		{"garbage without zero bytes", []byte(strings.ReplaceAll(string(garbage), "\x00", "")), "binary_content"},
		{"control characters", []byte(strings.Repeat("a\x01\x02b", 100)), "binary_content"},
		{"UTF-8 with a byte of Latin-1", []byte(german + "M\xFCller\n"), "bad_encoding"},
		{"UTF-8 cut in a rune", []byte(korean1[:len(korean1)-3]), "bad_encoding"},
		{"marked as UTF-8, but not", []byte("\xEF\xBB\xBFM\xFCller"), "bad_encoding"},
		{"UTF-16 with half a pair", []byte("\xFF\xFEa\x00\x00\xD8b\x00"), "bad_encoding"},
		{"UTF-16 with an odd byte", []byte("\xFF\xFEa\x00b"), "bad_encoding"},
		{"UTF-16 that ends in a pair", []byte("\xFF\xFEa\x00\x3D\xD8"), "bad_encoding"},
		{"UTF-32 beyond Unicode", []byte("\x00\x00\xFE\xFF\x00\x11\x00\x00"), "bad_encoding"},
		{"UTF-32 with an odd byte", []byte("\x00\x00\xFE\xFF\x00\x00\x00a\x00"), "bad_encoding"},
		{"UTF-16 mark before controls", []byte("\xFF\xFE\x01\x00\x02\x00\x03\x00"), "binary_content"},
		{"two encodings", append([]byte(german), eucKR...), "bad_encoding"},
		{"letters of nowhere", []byte("a\x81b\x8D c\x8F\x90d \x9D\x81\x8De"), "bad_encoding"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, name, err := extract.Decode(tt.in)
			if err == nil {
				t.Fatalf("read as %s: %.80q", name, text)
			}
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != tt.code || f.Kind != fault.Invalid {
				t.Errorf("got %v (%+v), want %s", err, f, tt.code)
			}
		})
	}
}

func TestDecodeNormalises(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"line ends", "a\r\nb\rc\nd\r\r\n", "a\nb\nc\nd\n\n"},
		{"other line ends", "a\u0085b\u2028c\u2029d\ve", "a\nb\nc\n\nd\ne"},
		{"form feed", "one page\n\ftwo\n", "one page\n\n\ntwo\n"},
		{"controls", strings.Repeat("text ", 40) + "a\x07b\x7Fc\u0090d\x1A", strings.Repeat("text ", 40) + "abcd"},
		{"a mark within", "a\uFEFFb\uFFFFc", "abc"},
		{"composition", "Mu\u0308ller, \u1112\u1161\u11ab", "Müller, 한"},
		{"composition over a control", strings.Repeat("text ", 20) + "u\x01\u0308", strings.Repeat("text ", 20) + "ü"},
		{"what stays", "a\tb\u00A0c – “d” £ e\u200Df", "a\tb\u00A0c – “d” £ e\u200Df"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := extract.Decode([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(english))
	f.Add([]byte("\xFF\xFEa\x00\x00\xD8"))
	f.Add([]byte("a\r\nb\x00\xC2\x85\xEF\xBB\xBFu\xCC\x88"))
	f.Add([]byte("\x1B$B?^=q4[\x1B(B"))
	for _, e := range []encoding.Encoding{korean.EUCKR, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)} {
		b, err := e.NewEncoder().Bytes([]byte(korean1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text, name, err := extract.Decode(in)
		again, name2, err2 := extract.Decode(in)
		if text != again || name != name2 || (err == nil) != (err2 == nil) {
			t.Fatal("the same bytes gave two results")
		}
		if err != nil {
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.Invalid {
				t.Fatalf("not a fault of the input: %v", err)
			}
			return
		}
		if !utf8.ValidString(text) || !norm.NFC.IsNormalString(text) {
			t.Fatalf("not normal: %q", text)
		}
		for _, r := range text {
			if r < ' ' && r != '\n' && r != '\t' || r >= 0x7F && r < 0xA0 || r == 0xFEFF {
				t.Fatalf("holds %U: %q", r, text)
			}
		}
		if text != "" {
			if twice, _, err := extract.Decode([]byte(text)); err == nil && twice != text && !strings.Contains(text, "\x1B") {
				t.Fatalf("a normal text changed: %q to %q", text, twice)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, tt := range []struct {
		name string
		in   string
	}{{"ascii", english}, {"german", german}, {"korean", korean1}, {"crlf", strings.ReplaceAll(english, "\n", "\r\n")}} {
		in := []byte(strings.Repeat(tt.in, 1<<20/len(tt.in)))
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if _, _, err := extract.Decode(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

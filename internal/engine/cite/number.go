package cite

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// number is a quantity that a text names.
type number struct {
	values   []float64 // ways to read it: 1.234 may be one thousand or one
	unit     string    // %, a currency, or empty
	from, to int       // words that it is made of
	soft     bool      // a word that often counts nothing (one, first): it may prove a number but needs no proof
}

var small = map[string]float64{
	"zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
	"thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30,
	"forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12,
}

var lone = map[string]float64{
	"one": 1, "once": 1, "twice": 2, "half": .5, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10,
	"first": 1, "second": 2, "both": 2, "thrice": 3, "couple": 2,
	"하나": 1, "한": 1, "두": 2, "둘": 2, "세": 3, "셋": 3, "네": 4, "넷": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10,
}

var scales = map[string]float64{
	"hundred": 100, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "bn": 1e9, "백": 100, "천": 1e3, "만": 1e4, "십만": 1e5, "백만": 1e6,
	"천만": 1e7, "억": 1e8, "조": 1e12, "k": 1e3, "mn": 1e6,
}

// countKO are numbers of Korean that stand before what is counted; alone their words mean other things too.
var countKO = regexp.MustCompile(`^(?:명|개|권|번|대|건|곳|층|시간|마리|차례|가지|배|살|달|주|사람|장|줄|병|그루|군데)`)

// units are the ways to write what makes a number another quantity.
var units = map[string]string{
	"%": "%", "percent": "%", "percentage": "%", "퍼센트": "%", "프로": "%", "pct": "%", "‰": "‰",
	"$": "$", "dollar": "$", "dollars": "$", "usd": "$", "달러": "$", "€": "€", "euro": "€", "euros": "€", "eur": "€", "유로": "€",
	"£": "£", "pound": "£", "pounds": "£", "gbp": "£", "₩": "₩", "원": "₩", "won": "₩", "krw": "₩", "¥": "¥", "yen": "¥", "엔": "¥",
	"kw": "kW", "mw": "MW", "gw": "GW", "kwh": "kWh", "mwh": "MWh", "gwh": "GWh", "kg": "kg", "kilograms": "kg", "kilogram": "kg", "킬로그램": "kg", "g": "g", "grams": "g", "gram": "g",
	"tonnes": "t", "tonne": "t", "tons": "t", "ton": "t", "톤": "t", "km": "km", "kilometres": "km", "kilometers": "km", "kilometre": "km", "kilometer": "km", "킬로미터": "km",
	"metres": "m", "meters": "m", "metre": "m", "meter": "m", "미터": "m", "cm": "cm", "centimetres": "cm", "centimeters": "cm", "센티미터": "cm", "mm": "mm",
	"feet": "ft", "foot": "ft", "inches": "in", "inch": "in", "miles": "mi", "mile": "mi", "마일": "mi", "litres": "l", "liters": "l", "litre": "l", "liter": "l", "리터": "l",
	"seconds": "s", "minutes": "min", "minute": "min", "hours": "h", "hour": "h", "시간": "h", "days": "d", "day": "d", "weeks": "w", "week": "w", "months": "mo", "month": "mo", "개월": "mo",
	"years": "y", "year": "y", "decades": "10y", "decade": "10y", "centuries": "100y", "degrees": "°", "hectares": "ha", "hectare": "ha", "헥타르": "ha", "acres": "ac", "acre": "ac",
}

// money are the units that stand before their number too.
const money = "$€£₩¥"

// unitOf knows units with a particle behind them too.
func unitOf(s string) string {
	if u := units[s]; u != "" {
		return u
	}
	for _, u := range []string{"퍼센트", "달러", "유로", "킬로그램", "킬로미터", "센티미터", "미터", "리터", "시간", "개월", "헥타르"} {
		if strings.HasPrefix(s, u) {
			return units[u]
		}
	}
	if rest, ok := strings.CutPrefix(s, "원"); ok && slices.Contains([]string{"이", "을", "은", "의", "에", "으로", "이다", "입니다", "과", "이며", "에서", "까지"}, rest) {
		return "₩"
	}
	return ""
}

// scaleOf gives the power that a word multiplies with, and whether more of the number may follow.
func scaleOf(s string) (float64, bool) {
	if v, ok := scales[s]; ok {
		return v, true
	}
	for _, k := range []string{"천만", "백만", "십만", "만", "억", "조"} {
		if rest, ok := strings.CutPrefix(s, k); ok && (unitOf(rest) != "" || countKO.MatchString(rest)) {
			return scales[k], true
		}
	}
	return 0, false
}

// numbersOf finds the quantities of a text.
func numbersOf(words []word) []number {
	var found []number
	for i := 0; i < len(words); {
		w := words[i]
		n := number{from: i, to: i + 1}
		switch v, known := small[w.s]; {
		case w.digits:
			n.values = readings(w.s)
		case known:
			n.values = []float64{v}
			if v >= 20 && i+1 < len(words) && small[words[i+1].s] > 0 && small[words[i+1].s] < 10 && words[i+1].start-w.end <= 1 {
				n.values[0] += small[words[i+1].s]
				n.to++
			}
		default:
			v, known := lone[w.s]
			if !known || w.s[0] >= 0x80 && (i+1 == len(words) || !countKO.MatchString(words[i+1].s)) {
				i++
				continue
			}
			n.values, n.soft = []float64{v}, true
		}
		if i > 0 && !words[i-1].digits && w.start-words[i-1].end <= 1 && strings.Contains(money, units[words[i-1].s]) {
			n.unit = units[words[i-1].s]
		}
		for n.to < len(words) && words[n.to].start-words[n.to-1].end <= 1 {
			v, ok := scaleOf(words[n.to].s)
			if !ok && n.unit != "" && words[n.to].s == "m" { // £2.5m
				v, ok = 1e6, true
			}
			if !ok {
				break
			}
			for k := range n.values {
				n.values[k] *= v
			}
			n.soft = false
			n.to++
			// 3만 5천: what follows a scale of Korean is added
			if v >= 1e4 && n.to < len(words) && words[n.to].digits && words[n.to-1].s[0] >= 0x80 && words[n.to].start-words[n.to-1].end <= 1 {
				more := readings(words[n.to].s)[0]
				n.to++
				if n.to < len(words) && words[n.to].start == words[n.to-1].end {
					if v, ok := scaleOf(words[n.to].s); ok {
						more *= v
						n.to++
					}
				}
				for k := range n.values {
					n.values[k] += more
				}
			}
		}
		if n.to < len(words) && words[n.to].start-words[n.to-1].end <= 1 {
			if u := unitOf(words[n.to].s); u != "" {
				n.unit = u
				n.to++
			} else if words[n.to].s == "per" && n.to+1 < len(words) && words[n.to+1].s == "cent" {
				n.unit = "%"
				n.to += 2
			}
		}
		if n.unit == "" {
			if last := words[n.to-1].s; last != "" && !words[n.to-1].digits {
				for _, k := range []string{"만", "억", "조", "천"} {
					if rest, ok := strings.CutPrefix(last, k); ok {
						n.unit = unitOf(rest)
					}
				}
			}
		}
		found = append(found, n)
		i = n.to
	}
	return found
}

// readings are the values that digits with separators may have.
func readings(s string) []float64 {
	comma, dot := strings.LastIndexByte(s, ','), strings.LastIndexByte(s, '.')
	parse := func(s string) []float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil { // several dots: a version or date
			v, _ = strconv.ParseFloat(strings.ReplaceAll(s, ".", ""), 64)
		}
		return []float64{v}
	}
	switch {
	case comma < 0 && dot < 0:
		return parse(s)
	case comma >= 0 && dot > comma:
		return parse(strings.ReplaceAll(s, ",", ""))
	case comma >= 0 && dot >= 0:
		return parse(strings.Replace(strings.ReplaceAll(s, ".", ""), ",", ".", 1))
	case comma >= 0:
		if grouped(s, ",") {
			return parse(strings.ReplaceAll(s, ",", ""))
		}
		return parse(strings.Replace(s, ",", ".", 1))
	case grouped(s, "."):
		return append(parse(s), parse(strings.ReplaceAll(s, ".", ""))...)
	}
	return parse(s)
}

func grouped(s, by string) bool {
	parts := strings.Split(s, by)
	if len(parts[0]) > 3 || parts[0] == "0" {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) != 3 {
			return false
		}
	}
	return true
}

// same tells whether two numbers may be one quantity.
func (n number) same(o number) bool {
	if n.unit != o.unit && n.unit != "" && o.unit != "" {
		return false
	}
	return slices.ContainsFunc(n.values, func(a float64) bool {
		return slices.ContainsFunc(o.values, func(b float64) bool { return a == b || math.Abs(a-b) < 1e-9*math.Abs(a) })
	})
}

// about tells whether the number is a rounding of another one.
func (n number) about(o number) bool {
	if n.unit != o.unit && n.unit != "" && o.unit != "" {
		return false
	}
	return math.Abs(n.values[0]-o.values[0]) <= .05*math.Abs(o.values[0])
}

var roughly = map[string]bool{"about": true, "around": true, "roughly": true, "nearly": true, "almost": true, "approximately": true, "some": true, "over": true, "약": true, "거의": true, "대략": true}

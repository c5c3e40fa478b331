package cite

import (
	"regexp"
	"strconv"
	"strings"
)

// date is a day, a month, a day of a year, or one of a week; what it does not say is 0.
type date struct {
	year, month, day int
	weekday          int // 1 is Monday
	start, end       int
}

const monthNames = `(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`

var (
	isoDate   = regexp.MustCompile(`\b(\d{4})[-./](\d{1,2})(?:[-./](\d{1,2}))?\b`)
	dayMonth  = regexp.MustCompile(`(?i)\b(\d{1,2})(?:st|nd|rd|th)?(?: of)? ` + monthNames + `\b\.?(?:,? (\d{4})\b)?`)
	monthDay  = regexp.MustCompile(`(?i)\b` + monthNames + `\b\.? (\d{1,2})(?:st|nd|rd|th)?\b(?:,? (\d{4})\b)?`)
	monthYear = regexp.MustCompile(`(?i)\b` + monthNames + `\b\.?,? (?:of )?(\d{4})\b`)
	monthOnly = regexp.MustCompile(`\b(January|February|March|April|June|July|August|September|October|November|December)\b`)
	weekday   = regexp.MustCompile(`\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|(월|화|수|목|금|토|일)요일`)
	koDate    = regexp.MustCompile(`(?:(\d{4})년 ?)?(\d{1,2})월(?: ?(\d{1,2})일)?`)
)

var weekdays = map[string]int{"Mon": 1, "Tues": 2, "Wednes": 3, "Thurs": 4, "Fri": 5, "Satur": 6, "Sun": 7, "월": 1, "화": 2, "수": 3, "목": 4, "금": 5, "토": 6, "일": 7}

func monthOf(s string) int {
	if len(s) < 3 {
		return 0
	}
	return strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(s[:3]))/3 + 1
}

// hasMonth tells whether monthOnly may find something.
func hasMonth(text string) bool {
	for _, name := range []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"} {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// datesOf finds the dates of a text, the fullest reading of each place.
func datesOf(text string) []date {
	var found []date
	add := func(d date, m []int) {
		d.start, d.end = m[0], m[1]
		if d.month > 12 || d.day > 31 {
			return
		}
		for _, o := range found {
			if d.start < o.end && o.start < d.end {
				return
			}
		}
		found = append(found, d)
	}
	group := func(m []int, k int) string {
		if m[2*k] < 0 {
			return ""
		}
		return text[m[2*k]:m[2*k+1]]
	}
	number := func(m []int, k int) int {
		v, _ := strconv.Atoi(group(m, k))
		return v
	}
	all := func(pattern *regexp.Regexp, may bool) [][]int {
		if !may {
			return nil
		}
		return pattern.FindAllStringSubmatchIndex(text, -1)
	}
	digits := strings.ContainsAny(text, "0123456789") // few sentences have one, and patterns are slow
	for _, m := range all(isoDate, digits) {
		if y := number(m, 1); y >= 1000 && y < 2200 && number(m, 2) > 0 {
			add(date{year: y, month: number(m, 2), day: number(m, 3)}, m)
		}
	}
	for _, m := range all(koDate, digits) {
		add(date{year: number(m, 1), month: number(m, 2), day: number(m, 3)}, m)
	}
	for _, m := range all(dayMonth, digits) {
		add(date{year: number(m, 3), month: monthOf(group(m, 2)), day: number(m, 1)}, m)
	}
	for _, m := range all(monthDay, digits) {
		add(date{year: number(m, 3), month: monthOf(group(m, 1)), day: number(m, 2)}, m)
	}
	for _, m := range all(monthYear, digits) {
		add(date{year: number(m, 2), month: monthOf(group(m, 1))}, m)
	}
	for _, m := range all(monthOnly, hasMonth(text)) {
		add(date{month: monthOf(group(m, 1))}, m)
	}
	for _, m := range weekday.FindAllStringSubmatchIndex(text, -1) {
		add(date{weekday: weekdays[group(m, 1)+group(m, 2)]}, m)
	}
	return found
}

// saidBy tells whether a date of a source says all that d says; its year may stand elsewhere.
func (d date) saidBy(o date, years map[int]bool) bool {
	if d.weekday != 0 || o.weekday != 0 {
		return d.weekday == o.weekday
	}
	if d.month != o.month || d.day != 0 && o.day != d.day {
		return false
	}
	return d.year == 0 || o.year == d.year || o.year == 0 && years[d.year]
}

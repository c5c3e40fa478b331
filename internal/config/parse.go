package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errNotAllowed stands for "use what Allowed says"; other errors of parse say more.
var errNotAllowed = errors.New("not allowed")

var (
	durationType = reflect.TypeFor[time.Duration]()
	prefixesType = reflect.TypeFor[[]netip.Prefix]()
	budgetType   = reflect.TypeFor[Budget]()
)

// units are the lengths of durations that are written as bare numbers.
var units = map[string]time.Duration{"minutes": time.Minute, "days": 24 * time.Hour}

// parse reads the text of a value, which is not empty, into the type of its field.
func (s *Setting) parse(text string) (any, error) {
	if allowed := s.tags.Get("allowed"); allowed != "" && !slices.Contains(strings.Fields(allowed), text) {
		if s.tags.Get("or") != "path" || !isPath(text) {
			return nil, errNotAllowed
		}
	}
	form, detail, _ := strings.Cut(s.tags.Get("form"), ":")
	switch {
	case s.typ == prefixesType:
		return parseList(text, parsePrefix)
	case form == "origin":
		return parseList(text, parseOrigin)
	case form == "target":
		return parseList(text, parseTarget)
	case form == "extension":
		return parseList(text, parseExtension)
	case form == "model":
		return parseList(text, parseModel)
	case s.typ == budgetType:
		return parseBudget(text)
	case form == "size":
		return s.parseSize(text)
	case form == "hostport":
		return parseHostPort(text)
	case form == "url":
		return parseURL(text, strings.Split(detail, ","))
	case form == "urls":
		return parseURLs(text, strings.Split(detail, ","))
	case s.typ == durationType:
		return s.parseDuration(text)
	case s.typ.Kind() == reflect.Bool:
		return parseBool(text)
	case s.typ.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil || n < s.limit("min", math.MinInt) || n > s.limit("max", math.MaxInt) {
			return nil, errNotAllowed
		}
		return n, nil
	}
	return s.parseString(text)
}

// limit is the bare number of a tag.
func (s *Setting) limit(tag string, absent int) int {
	if n, err := strconv.Atoi(s.tags.Get(tag)); err == nil {
		return n
	}
	return absent
}

// parseString checks the length in bytes. Control characters are refused: they would split lines of logs and headers.
func (s *Setting) parseString(text string) (any, error) {
	if n := s.limit("min", 0); len(text) < n {
		return nil, fmt.Errorf("is shorter than %d bytes; make one with `openssl rand -base64 48` or `byline config secret`", n)
	}
	if n := s.limit("max", math.MaxInt); len(text) > n {
		return nil, errNotAllowed
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("has a line break or another control character")
	}
	return text, nil
}

func parseBool(text string) (any, error) {
	switch strings.ToLower(text) {
	case "true", "on", "yes", "1":
		return true, nil
	case "false", "off", "no", "0":
		return false, nil
	}
	return nil, errNotAllowed
}

// parseDuration reads 90s or 1m30s, or a bare number where the setting's name says the unit.
func (s *Setting) parseDuration(text string) (any, error) {
	if unit, ok := units[s.tags.Get("unit")]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < s.limit("min", 0) || n > s.limit("max", 0) {
			return nil, errNotAllowed
		}
		return time.Duration(n) * unit, nil
	}
	d, err := time.ParseDuration(text)
	least, _ := time.ParseDuration(s.tags.Get("min"))
	most, _ := time.ParseDuration(s.tags.Get("max"))
	if err != nil || d < least || d > most {
		return nil, errNotAllowed
	}
	return d, nil
}

var sizePattern = regexp.MustCompile(`^(\d{1,15}(?:\.\d{1,3})?) ?([A-Za-z]*)$`)

// sizeUnits are in bytes: KB is 1000, KiB (and K, as most programs read it) 1024.
var sizeUnits = map[string]float64{
	"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

func (s *Setting) parseSize(text string) (any, error) {
	n, ok := bytesOf(text)
	least, _ := bytesOf(s.tags.Get("min"))
	most, _ := bytesOf(s.tags.Get("max"))
	if !ok || n < least || n > most {
		return nil, errNotAllowed
	}
	return n, nil
}

func bytesOf(text string) (int64, bool) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	unit, ok := sizeUnits[strings.ToLower(m[2])]
	n, err := strconv.ParseFloat(m[1], 64)
	if !ok || err != nil || n*unit > 1<<53 {
		return 0, false
	}
	return int64(n * unit), true
}

func parseHostPort(text string) (any, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, " /@") {
		return nil, errNotAllowed
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, errNotAllowed
	}
	return text, nil
}

// parseTarget reads a host with its port, and gives both in lower case.
func parseTarget(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@*") {
		return "", errNotAllowed
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

// parseURL also refuses what looks like a password with bare signs, of which a part would be taken for the host and be shown.
func parseURL(text string, schemes []string) (any, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		return nil, errNotAllowed
	}
	if u.Fragment != "" || strings.Contains(u.EscapedPath()+u.RawQuery, "@") {
		return nil, errors.New("has # or @ behind its host; inside a user or password write # as %23, / as %2F, ? as %3F and @ as %40")
	}
	return text, nil
}

// parseURLs reads URLs with commas between them.
func parseURLs(text string, schemes []string) (any, error) {
	for part := range strings.SplitSeq(text, ",") {
		if _, err := parseURL(strings.TrimSpace(part), schemes); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// parseOrigin reads scheme://host[:port] as a browser writes it: lower case, no path.
func parseOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Host, "*") {
		return "", errNotAllowed
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

var modelPattern = regexp.MustCompile(`^(openai|ollama)(/\S{1,200})?$`)

func parseModel(text string) (string, error) {
	if !modelPattern.MatchString(text) {
		return "", errNotAllowed
	}
	return text, nil
}

var budgetPattern = regexp.MustCompile(`^(\d{1,12}(?:\.\d{1,6})?) ?(?:([kKmM]?) ?(?i:tokens?)|([A-Z]{3}))$`)

// parseBudget reads tokens, an amount of money, or both.
func parseBudget(text string) (any, error) {
	var b Budget
	for part := range strings.SplitSeq(text, ",") {
		m := budgetPattern.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, errNotAllowed
		}
		n, err := strconv.ParseFloat(m[1], 64)
		switch scale := map[string]float64{"": 1, "k": 1e3, "m": 1e6}[strings.ToLower(m[2])]; {
		case err != nil || n <= 0:
			return nil, errNotAllowed
		case m[3] != "" && b.Currency == "":
			b.Cost, b.Currency = n, m[3]
		case m[3] == "" && b.Tokens == 0 && n*scale >= 1:
			b.Tokens = int64(n * scale)
		default:
			return nil, errNotAllowed
		}
	}
	return b, nil
}

var extensionPattern = regexp.MustCompile(`^\.?[a-z0-9]{1,10}$`)

func parseExtension(text string) (string, error) {
	text = strings.ToLower(text)
	if !extensionPattern.MatchString(text) {
		return "", errNotAllowed
	}
	return strings.TrimPrefix(text, "."), nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.WithZone("").Prefix(addr.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errNotAllowed
	}
	return p.Masked(), nil
}

// parseList reads a comma list or a JSON list of strings; entries that stand twice are kept once.
func parseList[T comparable](text string, one func(string) (T, error)) (any, error) {
	parts := strings.Split(text, ",")
	if strings.HasPrefix(text, "[") {
		parts = nil
		if json.Unmarshal([]byte(text), &parts) != nil {
			return nil, errNotAllowed
		}
	}
	var list []T
	for _, p := range parts {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		v, err := one(p)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list, nil
}

// allowed says what a setting may be, in words that follow "use".
func (s *Setting) allowed() string {
	least, most := s.tags.Get("min"), s.tags.Get("max")
	form, detail, _ := strings.Cut(s.tags.Get("form"), ":")
	switch {
	case s.Retired != "":
		return ""
	case s.tags.Get("allowed") != "":
		values := strings.Fields(s.tags.Get("allowed"))
		if s.tags.Get("or") == "path" {
			values = append(values, "a path with a slash")
		}
		return alternatives(values)
	case s.typ == prefixesType:
		return "addresses or ranges such as 10.0.0.0/8, separated by commas or as a JSON list"
	case form == "origin":
		return "origins such as http://localhost:3000, without a path or *, separated by commas or as a JSON list"
	case form == "extension":
		return "file name endings such as pdf, md, txt, separated by commas or as a JSON list"
	case form == "model":
		return "models such as ollama/llama3.2 or openai/gpt-4.1-mini, or openai or ollama alone, separated by commas or as a JSON list"
	case s.typ == budgetType:
		return "a number of tokens such as 200000 tokens, 200k tokens or 2M tokens, an amount such as 1.50 USD, or both with a comma between them"
	case form == "target":
		return "hosts with ports such as wiki.example:8080, separated by commas or as a JSON list"
	case form == "size":
		return fmt.Sprintf("a size such as 100MB or 104857600, from %s to %s", least, most)
	case form == "hostport":
		return "an address with a port such as 127.0.0.1:8000"
	case form == "url", form == "urls":
		schemes := strings.Split(detail, ",")
		for i := range schemes {
			schemes[i] += "://"
		}
		if form == "urls" {
			return "URLs that begin with " + alternatives(schemes) + " and name a host, separated by commas"
		}
		return "a URL that begins with " + alternatives(schemes) + " and names a host"
	case s.tags.Get("unit") != "":
		return fmt.Sprintf("a whole number of %s from %s to %s", s.tags.Get("unit"), least, most)
	case s.typ == durationType:
		return fmt.Sprintf("a duration such as 30s or 2m, from %s to %s", least, most)
	case form == "switch":
		return "on or off"
	case s.typ.Kind() == reflect.Bool:
		return "true or false"
	case s.typ.Kind() == reflect.Int:
		return fmt.Sprintf("a whole number from %s to %s", least, most)
	case least != "":
		return fmt.Sprintf("at least %s bytes", least)
	case most != "":
		return fmt.Sprintf("at most %s bytes", most)
	}
	return anyText
}

// anyText is Allowed where every text is.
const anyText = "text"

func alternatives(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	return strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
}

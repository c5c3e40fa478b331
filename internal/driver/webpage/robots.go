package webpage

import (
	"strings"
)

// robots is what a robots.txt says to us (RFC 9309).
type robots struct {
	rules []rule
}

type rule struct {
	allow   bool
	pattern string // of a path with its query; * is anything, $ at its end is the end
}

// everything and nothing may be read.
var (
	openRobots   = robots{}
	closedRobots = robots{[]rule{{pattern: "/"}}}
)

// maxRules bounds what one site may make us remember.
const maxRules = 5000

// parseRobots reads the groups for one agent, or those for all when it has none.
func parseRobots(text, agent string) robots {
	var own, others []rule
	named := false                         // the agent has a group of its own
	mine, all, open := false, false, false // of the group that is read; open while its agents are listed
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch key {
		case "user-agent":
			if !open {
				mine, all, open = false, false, true
			}
			mine = mine || strings.EqualFold(product(value), agent)
			all = all || value == "*"
			named = named || mine
		case "allow", "disallow":
			open = false
			if value == "" || len(own)+len(others) >= maxRules { // an empty rule says nothing
				continue
			}
			r := rule{key == "allow", normal(value)}
			if mine {
				own = append(own, r)
			} else if all {
				others = append(others, r)
			}
		}
	}
	if named {
		return robots{own}
	}
	return robots{others}
}

// product is the name in front of a version: Byline/1.0.
func product(agent string) string {
	name, _, _ := strings.Cut(agent, "/")
	return strings.TrimSpace(name)
}

// allows tells whether a path with its query may be read: the longest rule that fits decides, and of equals the kinder one.
func (r robots) allows(path string) bool {
	path = normal(path)
	best, allow := -1, true
	for _, rule := range r.rules {
		if n := len(rule.pattern); (n > best || n == best && rule.allow) && fits(rule.pattern, path) {
			best, allow = n, rule.allow
		}
	}
	return allow
}

// fits tells whether a path begins as the pattern says. Time is linear in their product at most.
func fits(pattern, path string) bool {
	whole := strings.HasSuffix(pattern, "$")
	pattern = strings.TrimSuffix(pattern, "$")
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(path, parts[0]) {
		return false
	}
	path = path[len(parts[0]):]
	for i, part := range parts[1:] {
		if whole && i == len(parts)-2 {
			return strings.HasSuffix(path, part)
		}
		at := strings.Index(path, part)
		if at < 0 {
			return false
		}
		path = path[at+len(part):]
	}
	return !whole || path == ""
}

// normal writes percent escapes in one way: capitals, and none for what needs none.
func normal(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool { return r == '%' || r >= 0x80 }) {
		return path
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if hi, lo := nibble(path[i+1]), nibble(path[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
				if unreserved(c) {
					b.WriteByte(c)
					continue
				}
				b.Write([]byte{'%', hex[c>>4], hex[c&15]})
				continue
			}
		}
		if c >= 0x80 {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func nibble(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

package webpage

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"byline/internal/fault"
)

// maxURL is the longest address that is fetched, in bytes.
const maxURL = 2048

// target is an address that may be asked for: its host is in one canonical form.
type target struct {
	url     *url.URL
	host    string // ASCII, lower case, without a dot at its end; an IP address without brackets
	port    string
	allowed bool // by configuration: its network address is not looked at
}

// origin is what robots.txt is valid for.
func (t target) origin() string { return t.url.Scheme + "://" + t.url.Host }

// refused is the refusal of an address; why says what is wrong with it.
func refused(why string, args ...any) *fault.Error {
	return fault.Bad("body.url", "url_refused", "This address is not fetched: %s.", fmt.Sprintf(why, args...))
}

// parse reads the address of a page, as a person or another page writes it, and refuses what must not be asked for. It
// looks at names and numbers only; what a name stands for is looked at when it is dialled.
func (f *Fetcher) parse(raw string) (target, error) {
	raw = strings.TrimSpace(raw)
	switch {
	case raw == "":
		return target{}, refused("it is empty")
	case len(raw) > maxURL:
		return target{}, refused("it is longer than %d bytes", maxURL)
	case strings.ContainsFunc(raw, func(r rune) bool { return r == '\\' || unicode.IsSpace(r) || unicode.IsControl(r) }):
		return target{}, refused("it holds a space, a backslash or a control character")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, refused("it cannot be read as a URL").Because(err)
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return target{}, refused("it does not begin with http:// or https://")
	case u.User != nil:
		return target{}, refused("it holds a user name or a password")
	}
	t := target{url: u}
	if t.host, err = canonicalHost(u.Hostname()); err != nil {
		return target{}, err
	}
	if t.port, err = portOf(u); err != nil {
		return target{}, err
	}
	t.allowed = f.allow[net.JoinHostPort(t.host, t.port)]
	if err := t.check(); err != nil {
		return target{}, err
	}
	u.Host, u.Fragment, u.RawFragment = t.host, "", ""
	if strings.Contains(t.host, ":") {
		u.Host = "[" + t.host + "]"
	}
	if t.port != defaultPorts[u.Scheme] {
		u.Host += ":" + t.port
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return t, nil
}

var defaultPorts = map[string]string{"http": "80", "https": "443"}

func portOf(u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", refused("its port is empty")
		}
		return defaultPorts[u.Scheme], nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", refused("its port is no port")
	}
	return strconv.FormatUint(n, 10), nil
}

// canonicalHost gives the one form of a host. Everything that a resolver or a browser might read as a number is refused
// unless it is an address in its usual form: 127.1, 0x7f000001 and 2130706433 are all the same machine.
func canonicalHost(host string) (string, error) {
	if host == "" {
		return "", refused("it names no host")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", refused("it names a network interface")
		}
		return addr.String(), nil
	}
	if strings.Contains(host, ":") {
		return "", refused("its host cannot be read")
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(host, "."))
	if err != nil {
		// Names with an underscore or two hyphens are in use, though the standard has none.
		if ascii = strings.ToLower(strings.TrimSuffix(host, ".")); !plainName(ascii) {
			return "", refused("its host %q is not a name that the internet has", host).Because(err)
		}
	}
	if !plainName(ascii) {
		return "", refused("its host %q is not a name that the internet has", host)
	}
	if addr, err := netip.ParseAddr(ascii); err == nil { // written with full-width digits, or with a dot at its end
		return addr.String(), nil
	}
	last := ascii[strings.LastIndexByte(ascii, '.')+1:]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", refused("its host %q is a number that is not written as an address usually is", host)
	}
	return ascii, nil
}

// plainName tells whether a name in lower case has only what names have, in parts of 1 to 63 bytes.
func plainName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// private are the ends of names that never are on the public internet.
var private = []string{"localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "test", "invalid", "onion", "localdomain"}

// check refuses names of this machine and of the own network, numbers that are no public address, and other ports than the web's.
func (t target) check() error {
	if t.allowed {
		return nil
	}
	if t.port != "80" && t.port != "443" {
		return refused("its port %s is not one of the web's (80 and 443); BYLINE_FETCH_ALLOW names exceptions", t.port)
	}
	if addr, err := netip.ParseAddr(t.host); err == nil {
		if !public(addr) {
			return notPublic(t.host)
		}
		return nil
	}
	for _, end := range private {
		if t.host == end || strings.HasSuffix(t.host, "."+end) {
			return notPublic(t.host)
		}
	}
	if !strings.Contains(t.host, ".") { // the resolver would put the own domain behind it
		return notPublic(t.host)
	}
	return nil
}

func notPublic(host string) error {
	return refused("%s is not on the public internet", host)
}

// closed are the ranges of IPv4 that are no place of the public internet (IANA special-purpose registry), and two addresses
// of clouds' metadata services that stand among public ones.
var closed = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // carrier-grade NAT; 100.100.100.200 is a metadata service
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // metadata of Azure
	"169.254.0.0/16",    // link-local; 169.254.169.254 is the metadata service of most clouds
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocols; 192.0.0.192 is a metadata service
	"192.0.2.0/24",      // documentation
	"192.88.99.0/24",    // 6to4 relays
	"192.168.0.0/16",    // private
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/3",       // multicast, reserved, broadcast
	"147.75.207.255/32", // metadata of Equinix Metal
)

// open6 is what of IPv6 is given out at all; closed6 what of it is no place: of the protocols that carry IPv4 addresses
// within those of IPv6, nobody needs one to read a page.
var (
	open6   = netip.MustParsePrefix("2000::/3")
	closed6 = prefixes(
		"2001::/23",     // protocols: Teredo, benchmarks, ORCHID
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"3fff::/20",     // documentation
	)
	// nat64 is how networks without IPv4 reach it: the last four bytes are the address that counts.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// public tells whether an address is a place of the public internet.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Zone() != "" || !addr.IsValid() {
		return false
	}
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	list := closed
	if addr.Is6() {
		if list = closed6; !open6.Contains(addr) {
			return false
		}
	}
	for _, p := range list {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

package webpage_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"byline/internal/driver/webpage"
	"byline/internal/fault"
)

// names is a resolver that knows some names, and gives each of a name's answers once, the last one for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	host = strings.TrimSuffix(host, ".")
	list := n.answers[host]
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(list) > 1 {
		n.answers[host] = list[1:]
	}
	var out []netip.Addr
	for a := range strings.SplitSeq(list[0], " ") {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

// trap is a server of this machine that nothing may reach.
func trap(t *testing.T) (reached func() int, port string) {
	t.Helper()
	var mu sync.Mutex
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		fmt.Fprint(w, "secret") //nolint:errcheck // the client has gone
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return n }, u.Port()
}

// The SSRF set: none of these is fetched.
func TestAddressesThatAreRefused(t *testing.T) {
	reached, port := trap(t)
	list := []string{
		// Other schemes, and what is no URL.
		"", " ", "file:///etc/passwd", "ftp://example.org/", "gopher://127.0.0.1:6379/_FLUSHALL", "data:text/html,hello", "javascript:alert(1)",
		"dict://127.0.0.1:11211/stats", "jar:http://example.org!/", "ldap://127.0.0.1/", "http:", "http://", "//example.org/", "example.org",
		"http:example.org", "http:///etc/passwd", "https://?q", "http://exa mple.org/", "http://example.org\\@127.0.0.1/", "http://example.org/\r\nHost: 127.0.0.1",
		"http://example.org/\x00", "http://[::1", "http://example.org:http/", "http://example.org:/", "http://example.org:0/", "http://example.org:65536/",
		"http://example.org/" + strings.Repeat("a", 2048), "http://%31%32%37.0.0.1%00/", "http://-/", "http://exa%6dple..org/", "http://" + strings.Repeat("a", 64) + ".org/",
		// Users and passwords.
		"http://user@example.org/", "http://user:password@example.org/", "http://example.org@127.0.0.1/", "http://127.0.0.1#@example.org/",
		"http://127.0.0.1%23@example.org/", "http://:@example.org/",
		// This machine.
		"http://127.0.0.1/", "http://127.0.0.1:" + port + "/", "http://localhost/", "http://localhost:" + port + "/", "http://LOCALHOST/", "http://localhost./",
		"http://localhost.localdomain/", "http://a.localhost/", "http://127.0.0.1./", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7F.1/",
		"http://0177.0.0.1/", "http://017700000001/", "http://127.0.0.0x1/", "http://0/", "http://0.0.0.0/", "http://00.0.0.0/", "http://127.000.000.001/", "http://127.127.127.127/",
		"http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[::ffff:0:127.0.0.1]/",
		"http://[64:ff9b::127.0.0.1]/", "http://[64:ff9b:1::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001:0:7f00:1::]/", "http://[::1%25lo]/",
		"http://①②⑦.⓪.⓪.①/", "http://１２７.０.０.１/", "http://127。0。0。1/", "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://127.0.0.1.1/", "http://1.1/", "http://256.1.1.1/", "http://1.2.3.4.5/", "http://0xabc/",
		// The own network, and places that are none.
		"http://10.0.0.1/", "http://10.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.1.1/", "http://169.254.1.1/", "http://100.64.0.1/", "http://192.0.0.1/",
		"http://192.0.2.1/", "http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/", "http://224.0.0.1/", "http://239.255.255.250/", "http://240.0.0.1/", "http://255.255.255.255/",
		"http://192.88.99.1/", "http://[fc00::1]/", "http://[fd12:3456::1]/", "http://[fe80::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[100::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/",
		"http://[2001:10::1]/", "http://[5f00::1]/", "http://[4000::1]/", "http://router/", "http://printer.local/", "http://nas.lan/", "http://wiki.corp/", "http://db.internal/", "http://x.home.arpa/", "http://a.test/", "http://abc.onion/",
		// Metadata services of clouds.
		"http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://metadata.google.internal/", "http://metadata/", "http://100.100.100.200/", "http://168.63.129.16/", "http://192.0.0.192/",
		"http://0251.0376.0251.0376/", "http://2852039166/", "http://0xA9FEA9FE/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/", "http://169.254.169.254.:80/",
		// Other ports of public hosts.
		"http://example.org:22/", "http://example.org:6379/", "https://example.org:8443/", "http://93.184.216.34:25/",
		// Names whose addresses are not public.
		"http://rebound.example.org/", "http://mixed.example.org/", "http://six.example.org/", "http://127.0.0.1.nip.example.org/", "http://mapped.example.org/", "http://linklocal.example.org/", "https://rebound.example.org/",
	}
	if len(list) < 60 {
		t.Fatalf("only %d addresses", len(list))
	}
	n := &names{answers: map[string][]string{
		"example.org": {"127.0.0.1"}, "rebound.example.org": {"127.0.0.1"}, "mixed.example.org": {"93.184.216.34 10.0.0.1"}, "six.example.org": {"::1"},
		"127.0.0.1.nip.example.org": {"127.0.0.1"}, "mapped.example.org": {"::ffff:10.0.0.1"}, "linklocal.example.org": {"169.254.169.254"},
		"localhost": {"127.0.0.1"}, "127.1": {"127.0.0.1"},
	}}
	f, err := webpage.New(webpage.Options{Resolver: n})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range list {
		page, err := f.Fetch(t.Context(), address, 1000)
		if err == nil {
			t.Errorf("%q was fetched: %+v", address, page)
			page.Body.Close() //nolint:errcheck // the test has failed
			continue
		}
		if e := fault.Of(err); e.Code != "url_refused" || e.Kind != fault.Invalid || !strings.HasPrefix(e.Say, "This address is not fetched: ") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if reached() > 0 {
		t.Errorf("the server of this machine was reached %d times", reached())
	}
	for _, asked := range n.asked {
		if !strings.HasSuffix(asked, ".example.org.") {
			t.Errorf("the resolver was asked for %q", asked)
		}
	}
}

// A name whose answer changes after it was looked at gains nothing: the connection goes to the address that was looked at.
func TestNamesAreResolvedOnce(t *testing.T) {
	reached, port := trap(t)
	n := &names{answers: map[string][]string{"rebind.example.org": {"192.0.2.7", "127.0.0.1"}}}
	f, err := webpage.New(webpage.Options{Resolver: n})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Fetch(t.Context(), "http://rebind.example.org/", 1000)
	if e := fault.Of(err); e == nil || e.Code != "url_refused" {
		t.Errorf("got %v", err)
	}
	if len(n.asked) != 1 {
		t.Errorf("the name was resolved %d times for one connection", len(n.asked))
	}
	// The second connection meets the second answer, and is refused too.
	if _, err = f.Fetch(t.Context(), "http://rebind.example.org/", 1000); fault.Of(err) == nil || fault.Of(err).Code != "url_refused" {
		t.Errorf("got %v", err)
	}
	_ = port
	if reached() > 0 {
		t.Error("this machine was reached")
	}
}

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34": true, "8.8.8.8": true, "172.15.0.1": true, "172.32.0.1": true, "100.63.255.255": true, "100.128.0.1": true, "11.0.0.1": true, "223.255.255.255": true,
		"2606:2800:220:1::1": true, "2a00:1450::1": true, "64:ff9b::5db8:d822": true, "::ffff:8.8.8.8": true, "2001:4860:4860::8888": true,
		"64:ff9b::a00:1": false, "fe80::1%eth0": false, "127.0.0.1": false, "2002:5db8:d822::": false, "::ffff:192.168.0.1": false, "::5db8:d822": false,
	} {
		if got := webpage.Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if webpage.Public(netip.Addr{}) {
		t.Error("no address is none")
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"http://example.org/", "http://127.1/", "https://[::1]:443/", "http://①.⓪/", "HTTP://EXAMPLE.org:80/a?b#c", "http://xn--bcher-kva.example/"} {
		f.Add(s)
	}
	fetcher, err := webpage.New(webpage.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		canonical, host, err := fetcher.Parse(raw)
		if err != nil {
			if fault.Of(err).Code != "url_refused" {
				t.Fatal(err)
			}
			return
		}
		u, err := url.Parse(canonical)
		if err != nil || u.User != nil || u.Fragment != "" || u.Hostname() != host {
			t.Fatalf("%q became %q", raw, canonical)
		}
		if a, err := netip.ParseAddr(host); err == nil && !webpage.Public(a) {
			t.Fatalf("%q became %q", raw, canonical)
		}
		if again, _, err := fetcher.Parse(canonical); err != nil || again != canonical {
			t.Fatalf("%q became %q, and that %q (%v)", raw, canonical, again, err)
		}
	})
}

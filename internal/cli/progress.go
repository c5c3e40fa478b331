package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows what is going on: a bar and the text as it is written on a terminal, plain lines elsewhere, nothing
// when quiet.
type progress struct {
	w         io.Writer
	terminal  bool
	silent    bool
	bar       *progressbar.ProgressBar
	last      string
	streaming bool
}

func newProgress(w io.Writer, silent bool) *progress {
	return &progress{w: w, terminal: isTerminal(w), silent: silent}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// say tells what is being done; n of of things are done already, 0 of 0 is unknown. detail changes often, so that only a
// terminal shows it.
func (p *progress) say(verb, what, detail string, n, of int) {
	line := inline(strings.TrimSpace(verb + " " + what))
	if p.silent || !p.terminal && line == p.last {
		return
	}
	p.last = line
	if !p.terminal {
		if of > 0 {
			line = fmt.Sprintf("[%d/%d] %s", n+1, of, line)
		}
		fmt.Fprintln(p.w, line)
		return
	}
	if p.bar == nil {
		p.end()
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(60*time.Millisecond), progressbar.OptionSpinnerType(14),
			progressbar.OptionSetSpinnerChangeInterval(0)) // else a goroutine draws on, which nobody can stop
	}
	if of > 0 {
		p.bar.ChangeMax(of)
		p.bar.Set(n) //nolint:errcheck // a bar that cannot be drawn harms nobody
	}
	p.bar.Describe(line + detail)
}

// stream shows text as it is written; only a terminal wants it.
func (p *progress) stream(text string) {
	if p.silent || !p.terminal {
		return
	}
	p.clear()
	p.streaming = !strings.HasSuffix(text, "\n")
	fmt.Fprint(p.w, clean(text))
}

// note tells something worth knowing.
func (p *progress) note(text string) {
	if p.silent {
		return
	}
	p.end()
	fmt.Fprintln(p.w, clean(text))
}

func (p *progress) clear() {
	if p.bar != nil {
		p.bar.Clear() //nolint:errcheck // see say
		p.bar = nil
	}
}

// end leaves the terminal at the start of a line.
func (p *progress) end() {
	p.clear()
	if p.streaming {
		fmt.Fprintln(p.w)
		p.streaming = false
	}
}

package runs_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"byline/internal/runs"
	"byline/internal/store"
	"byline/internal/store/storetest"
)

// The text of a channel is the same before and after compaction, from the start and for a reader that resumes anywhere.
func TestCompactionKeepsTheText(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var log []runs.Event
		length := map[string]int{}
		for range rapid.IntRange(0, 40).Draw(rt, "n") {
			ch := rapid.SampledFrom([]string{"draft", "reply"}).Draw(rt, "channel")
			sec := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "section")
			key := ch + sec
			var e runs.Event
			switch rapid.SampledFrom([]string{"token", "token", "token", "reset", "other"}).Draw(rt, "type") {
			case "token":
				text := rapid.SampledFrom([]string{"x", "yy", "한"}).Draw(rt, "text")
				e = event(runs.EventToken, runs.Token{Channel: ch, SectionID: sec, Offset: length[key], Text: text})
				length[key] += len(text)
			case "reset":
				e = event(runs.EventReset, runs.Reset{Channel: ch, SectionID: sec})
				length[key] = 0
			default:
				e = event(runs.EventNotice, runs.Notice{Code: "n"})
			}
			e.Seq = int64(len(log) + 1)
			log = append(log, e)
		}
		compacted := apply(log, runs.Compact(log))
		for _, ch := range []string{"draft", "reply"} {
			whole := runs.Fold(log, ch)
			if got := runs.Fold(compacted, ch); got != whole {
				rt.Fatalf("%s: %q, want %q", ch, got, whole)
			}
			// A reader that has read up to n of the old log and then reads the rest of the new one.
			for n := range len(log) + 1 {
				mixed := append([]runs.Event(nil), log[:n]...)
				for _, e := range compacted {
					if e.Seq > int64(n) {
						mixed = append(mixed, e)
					}
				}
				if got := runs.Fold(mixed, ch); got != whole {
					rt.Fatalf("resumed after %d: %q, want %q", n, got, whole)
				}
			}
		}
	})
}

func event(typ string, data any) runs.Event {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return runs.Event{Type: typ, Data: b}
}

// apply does to a log what the store does.
func apply(log []runs.Event, all []runs.Compacted) []runs.Event {
	var out []runs.Event
next:
	for _, e := range log {
		for _, c := range all {
			if e.Seq == c.Seq {
				s := event(runs.EventSnapshot, c.Snapshot)
				s.Seq = e.Seq
				out = append(out, s)
				continue next
			}
			if e.Type == runs.EventToken && e.Seq >= c.Snapshot.FromSeq && e.Seq < c.Seq {
				continue next
			}
		}
		out = append(out, e)
	}
	return out
}

func TestStoreCompacts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		_, r := begin(t, s)
		_, l, _, err := s.Claim(t.Context(), "me", []runs.Kind{runs.KindGenerate})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			if _, err := s.Append(t.Context(), l, runs.NewEvent{Type: runs.EventToken, Data: runs.Token{Channel: "draft", SectionID: "a", Offset: i, Text: "x"}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.End(t.Context(), l, runs.Ending{Status: runs.Completed}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Compact(t.Context(), time.Now().Add(-time.Hour), 10); n != 0 || err != nil {
			t.Fatalf("compacted %d too early: %v", n, err)
		}
		if n, err := s.Compact(t.Context(), time.Now().Add(time.Hour), 10); n != 1 || err != nil {
			t.Fatalf("compacted %d: %v", n, err)
		}
		log, err := s.Events(t.Context(), r.ID, 0, 1000)
		if err != nil || types(log) != "run.created run.started snapshot run.completed" || log[2].Seq != 32 || runs.Fold(log, "draft") != strings.Repeat("x", 30) {
			t.Errorf("%v: %s", err, types(log))
		}
		if n, err := s.Compact(t.Context(), time.Now().Add(time.Hour), 10); n != 0 || err != nil {
			t.Errorf("compacted again: %d %v", n, err)
		}
	})
}

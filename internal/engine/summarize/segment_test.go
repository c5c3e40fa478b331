package summarize_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"byline/internal/engine/summarize"
)

// topics are paragraphs of three texts, two of each, that have little in common.
var topics = []string{
	"The hives stand behind the orchard, where the bees find flowers from March to October. A hive holds about 40,000 bees in summer and 9,000 in winter. The beekeeper opens each hive every nine days to look for queen cells, because a colony that raises a new queen is about to swarm.",
	"Swarms are caught in a straw basket and put into an empty hive before sunset. Last summer the beekeeper caught eleven swarms, of which two flew off again the next morning. Bees that have swarmed do not sting, because they have filled themselves with honey for three days.",
	"The bridge over the mill stream was closed to lorries after the inspection in May. Engineers found cracks in four of the twelve steel girders, and rust at both bearings. The girders date from 1957 and were made for loads of 16 tonnes, while lorries of today weigh 40.",
	"Repairing the steel girders would cost 1.2 million euros, a new bridge 2.9 million. The engineers recommend the new bridge, because the bearings would have to be replaced again within fifteen years. Until then a traffic light keeps lorries off the bridge, and buses cross it alone.",
	"The bakery fires its oven with beech wood at three in the morning. Bread goes into the oven at 280 degrees, when the dough has rested for sixteen hours. One load is 64 loaves, and the oven bakes five loads before the stones have cooled below 200 degrees.",
	"Rye dough rests longer than wheat dough, because it needs the sour that the bakery has kept alive since 1988. Two apprentices knead the dough by hand on Saturdays, when people come to watch. What bread is left in the evening goes to the school kitchen.",
}

// A text without headings is cut where its topics change, in its own order, and each part bears a name that is its own.
func TestTopicsWithoutHeadings(t *testing.T) {
	s := summarize.Read([]summarize.Source{source(t, "village.txt", strings.Join(topics, "\n\n"))})
	var got []string
	for _, sec := range s.Fill(s.Plan(summarize.Wish{}), nil, 600).Sections {
		var where []int
		for _, id := range sec.Units {
			for i, p := range topics {
				if strings.Contains(p, s.Quote(id)) && (len(where) == 0 || where[len(where)-1] != i) {
					where = append(where, i)
				}
			}
		}
		got = append(got, fmt.Sprintf("%s %s %v", sec.Origin, sec.Title, where))
	}
	want := []string{"suggested Hives [0 1]", "suggested Bridge [2 3]", "suggested Dough [4 5]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}

// Korean texts are cut at their paragraphs as well, and nothing is lost of a short one.
func TestKoreanTopics(t *testing.T) {
	paragraphs := []string{
		"우리 동네에는 오래된 방앗간이 하나 있다. 방앗간은 1961년에 처음 문을 열었고, 지금은 세 번째 주인이 운영한다. 주인은 매일 새벽 4시에 기계를 켜고 쌀을 빻는다. 방앗간의 떡은 동네 학교 급식에도 들어간다. 떡을 찌는 시루는 모두 여섯 개이며 가장 큰 시루는 한 번에 쌀 20킬로그램을 찐다.",
		"마을 도서관은 시장 맞은편에 있다. 도서관은 작년에 지붕을 고쳤고 공사비로 2억 4천만 원을 썼다. 공사비의 절반은 시가 부담했고 나머지는 기부금으로 채웠다. 도서관 지붕에는 태양광 패널 60장이 놓였다. 도서관 열람실은 밤 10시까지 열고 하루 평균 210명이 이용한다.",
		"버스 노선은 올해 3월에 바뀌었다. 주민들은 버스 정류장이 멀어졌다고 말한다. 시청 교통과는 주민 의견을 듣고 마을버스를 새로 넣기로 했다. 마을버스는 9월부터 20분 간격으로 다닌다. 버스 요금은 어른 1,200원, 청소년 800원이다. 첫차는 오전 6시, 막차는 밤 11시에 떠난다.",
	}
	s := summarize.Read([]summarize.Source{source(t, "동네.txt", strings.Join(paragraphs, "\n\n"))})
	if s.Language != "ko" {
		t.Errorf("language %q", s.Language)
	}
	var got []string
	units := 0
	for _, sec := range s.Fill(s.Plan(summarize.Wish{}), nil, s.Budget(0)).Sections {
		units += len(sec.Units)
		for i, p := range paragraphs {
			if !slices.ContainsFunc(sec.Units, func(id int) bool { return !strings.Contains(p, s.Quote(id)) }) {
				got = append(got, fmt.Sprintf("%s %s %d", sec.Origin, sec.Title, i))
			}
		}
	}
	if want := []string{"suggested 방앗간 0", "suggested 도서관 1", "suggested 버스 2"}; !cmp.Equal(want, got) {
		t.Errorf("sections %q, want %q", got, want)
	}
	if units != len(s.Units) {
		t.Errorf("%d of %d units are taken", units, len(s.Units))
	}
}

// A short text stays whole, and so does one among others.
func TestShortTextsStayWhole(t *testing.T) {
	for name, text := range map[string]string{"one topic": topics[0] + "\n\n" + topics[1], "short": topics[0] + "\n\n" + topics[2]} {
		s := summarize.Read([]summarize.Source{source(t, "notes.txt", text)})
		if plan := s.Plan(summarize.Wish{}); len(plan) != 1 || plan[0].Title != "Notes" || plan[0].Origin != summarize.FromSource {
			t.Errorf("%s: %+v", name, plan)
		}
	}
}

// One paragraph without end takes no more time than a text with headings.
func BenchmarkHundredPagesWithoutHeadings(b *testing.B) {
	var long strings.Builder
	for i := range 250 {
		fmt.Fprintf(&long, "%s ", strings.ReplaceAll(topics[i%len(topics)]+" "+topics[(i/7)%len(topics)], "the", fmt.Sprintf("the%d", i/5)))
	}
	src := source(b, "long.txt", long.String())
	b.SetBytes(int64(long.Len()))
	for b.Loop() {
		s := summarize.Read([]summarize.Source{src})
		s.Fill(s.Plan(summarize.Wish{}), nil, 600)
	}
}

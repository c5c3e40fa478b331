package cite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"byline/internal/engine/cite"
)

// stated is a sentence of a source, with what may be made of it: "old>new" replaces a piece, several are parted by "|". Our own texts.
type stated struct {
	text                              string
	numbers, names, dates, denied, as string // as: the whole sentence in other words
}

var made = [][]stated{{
	{"The Elm Street library opened on 3 May 1968 and has 24 staff.", "24>42|24>twenty-five|24>2.4|24 staff>240 staff", "Elm Street>Oak Street", "3 May>13 May|May>June|1968>1986|3 May 1968>1968-05-04", "opened>did not open|has>no longer has", "With 24 staff, the library at Elm Street has been open since May 3, 1968."},
	{"In 2023 the library cut its heating bill by 31 percent to 1.2 million euros.", "31 percent>13 percent|31 percent>31 euros|1.2 million>1.2 billion|1.2 million>12 million|31 percent>thirty-two percent", "", "2023>2022|2023>2032", "cut>did not cut|cut>never cut", "The heating bill of the library fell by 31% in 2023, to 1,200,000 euros."},
	{"Anna Kowalski has led the board since March 2019.", "", "Kowalski>Nowak|Anna Kowalski>Peter Brandt|Anna>Eva", "March>April|2019>2009", "has led>has not led|has led>never led", "Since March 2019 the board has been led by Anna Kowalski."},
	{"The council approved 40,000 euros for the roof on 12 March 2022.", "40,000>14,000|40,000>400,000|40,000 euros>40,000 dollars|40,000>four thousand", "", "12 March>21 March|March>May|2022>2021", "approved>rejected|approved>did not approve", "On March 12, 2022 the council approved €40,000 for the roof."},
	{"The roof was not repaired before the winter.", "", "", "", "was not repaired>was repaired|before>after", "Before the winter the roof was not repaired."},
	{"Visitors increased from 96,300 in 2021 to 118,400 in 2023.", "118,400>181,400|96,300>93,600|118,400>118.4", "", "2021>2020|2023>2024", "increased>decreased|increased>fell|increased>did not increase", "From 2021 to 2023 visitors increased from 96300 to 118400."},
	{"Every Tuesday the reading room stays open until 9 pm.", "9 pm>8 pm|9 pm>ten pm", "", "Tuesday>Thursday|Tuesday>Sunday", "stays open>is closed|stays open>does not stay open", "The reading room stays open until 9 pm every Tuesday."},
	{"Three of the seven branches in Harrow were closed by Mayor Lindqvist.", "Three>Four|seven>nine|seven>17", "Harrow>Camden|Lindqvist>Lindgren", "", "were closed>were not closed|were closed>were opened", "Mayor Lindqvist closed three of seven branches in Harrow."},
}, {
	{"The heat pump delivers 85 kW and weighs 1,250 kg.", "85>58|85 kW>85 MW|1,250>1,520|1,250 kg>1,250 g|85>eighty-six", "", "", "delivers>does not deliver|delivers>never delivers", "It weighs 1250 kg and the heat pump delivers 85 kW."},
	{"Vattengas installed it in Malmö between June and September 2021.", "", "Vattengas>Nordgas|Malmö>Lund", "June>July|September>October|2021>2012", "installed it>did not install it|installed>removed", "Between June and September 2021 it was installed in Malmö by Vattengas."},
	{"The boiler burns 31,000 litres of oil a year, twice as much as planned.", "31,000>13,000|31,000>310,000|31,000>thirty thousand", "", "", "burns>does not burn|more>less|as planned>as not planned", "31000 litres of oil a year are burned by the boiler, twice as much as planned."},
	{"Dr. Ruiz measured 0.45 degrees of warming per decade in the basement.", "0.45>0.54|0.45>4.5|0.45>45", "Ruiz>Diaz", "", "measured>did not measure|warming>cooling", "In the basement Dr. Ruiz measured a warming of 0.45 degrees per decade."},
	{"The pilot phase ended on 30 November 2022 without any complaint from tenants.", "", "", "30 November>13 November|November>December|2022>2023", "ended>began|without any complaint>with a complaint|ended>did not end", "Without any complaint from tenants the pilot phase ended on November 30, 2022."},
	{"The city of Bergen pays 60 percent of the costs, the state pays 40 percent.", "60 percent>16 percent|40 percent>45 percent|60 percent>66 percent", "Bergen>Oslo", "", "Bergen pays>Bergen no longer pays|Bergen pays>Bergen does not pay", "60% of the costs are paid by the city of Bergen, 40% by the state."},
	{"Windows on the north side are warmer than those on the south side.", "", "", "", "warmer>colder|are warmer>are not warmer", "On the north side windows are warmer than on the south side."},
	{"Helen Marsh accepted the prize of $5,000 in Geneva on January 7, 2024.", "$5,000>$50,000|$5,000>£5,000|$5,000>$500", "Helen Marsh>Helen Moore|Marsh>Walsh|Geneva>Zurich", "January 7>January 17|January>February|2024>2014", "accepted>rejected|accepted>did not accept|accepted>refused", "The prize of 5,000 dollars was accepted by Helen Marsh in Geneva on 7 January 2024."},
}, {
	{"Project Lantern started in 1999 with a grant of 2.5 million pounds.", "2.5 million>5.2 million|2.5 million>2.5 billion|2.5 million pounds>2.5 million dollars|2.5>25", "Lantern>Beacon", "1999>1989|1999>2000", "started>did not start|started>ended", "With a grant of £2.5m... Project Lantern started in 1999."},
	{"The fastest trains need 48 minutes from Porto to Braga.", "48>84|48>58|48 minutes>48 hours|48>forty-seven", "Porto>Lisbon|Braga>Faro", "", "fastest>slowest|need>do not need", "From Porto to Braga the fastest trains need 48 minutes."},
	{"All members may vote, but guests must not vote.", "", "", "", "must not vote>must vote|may vote>may not vote|may vote>cannot vote", "Guests must not vote; all members may vote."},
	{"Since 1 October 2020 the museum no longer charges children under 12.", "12>21|12>16|12>two", "", "1 October>11 October|October>August|2020>2010", "no longer charges>charges|no longer charges>still charges", "Children under 12 are no longer charged by the museum since October 1, 2020."},
	{"The bridge is 1,280 metres long and carries 62,000 cars a day.", "1,280>1,820|1,280 metres>1,280 feet|62,000>26,000|62,000>620,000|1,280>1.28", "", "", "carries>does not carry|long>short", "62000 cars a day are carried by the bridge, which is 1280 metres long."},
	{"Karin Holm and Tomas Berg founded the cooperative on Friday, 14 April 2006.", "", "Holm>Lund|Tomas Berg>Tomas Dahl|Karin>Karl", "14 April>24 April|April>March|2006>2016|Friday>Monday", "founded>did not found|founded>dissolved", "The cooperative was founded on Friday, April 14, 2006 by Karin Holm and Tomas Berg."},
	{"Unemployment fell to 4.1 percent, the lowest value in twenty years.", "4.1 percent>1.4 percent|4.1>41|twenty years>thirty years|4.1 percent>4.2 %", "", "", "fell>rose|lowest>highest|fell>did not fall", "The lowest value in 20 years: unemployment fell to 4.1%."},
	{"Nurses at Saint Mary clinic work 38 hours a week and get 30 days of leave.", "38>83|38>40|30 days>13 days|38 hours>38 days|30>thirty-one", "Saint Mary>Saint Paul", "", "get>do not get|work>do not work", "At Saint Mary clinic nurses get 30 days of leave and work 38 hours a week."},
}, {
	{"중앙도서관은 1968년 5월 3일에 문을 열었고 직원은 24명이다.", "24명>42명|24명>25명|24명>240명", "중앙도서관>시립박물관|중앙도서관>남부도서관", "5월>6월|3일>13일|1968년>1986년", "열었고>열지 않았고|문을 열었고>문을 닫았고", "직원이 24명인 중앙도서관은 1968년 5월 3일에 문을 열었다."},
	{"2023년 난방비는 31퍼센트 감소해 12억 원이 되었다.", "31퍼센트>13퍼센트|12억>21억|12억>120억|31퍼센트>31달러", "", "2023년>2022년|2023년>2032년", "감소해>증가해|감소해>감소하지 않아", "2023년 난방비는 31% 감소해 1,200,000,000원이 되었다."},
	{"김서연 관장은 2019년 3월부터 위원회를 이끌고 있다.", "", "김서연>박민준|김서연>이지훈", "3월>4월|2019년>2009년", "이끌고 있다>이끌지 않고 있다|이끌고 있다>이끌지 못하고 있다", "2019년 3월부터 김서연 관장은 위원회를 이끌고 있다."},
	{"지붕은 겨울 전에 수리하지 않았다.", "", "", "", "수리하지 않았다>수리했다|수리하지 않았다>수리하였다", "겨울 전에 지붕은 수리하지 않았다."},
	{"방문자는 2021년 9만 6천 명에서 2023년 11만 8천 명으로 늘었다.", "9만 6천>6만 9천|11만 8천>18만 1천|9만 6천>96만", "", "2021년>2020년|2023년>2024년", "늘었다>줄었다|늘었다>늘지 않았다", "2021년 96,000명이던 방문자는 2023년 118,000명으로 늘었다."},
	{"부산시는 비용의 60%를 부담하고 국가는 40%를 부담한다.", "60%>16%|40%>45%|60%>66%", "부산시>대구시", "", "부담한다>부담하지 않는다|60%를 부담하고>60%를 부담하지 않고", "비용의 60%는 부산시가, 40%는 국가가 부담한다."},
	{"시의회는 2022년 3월 12일 지붕 공사비 4만 유로를 승인했다.", "4만>14만|4만>40만|4만 유로>4만 달러", "", "3월>5월|12일>21일|2022년>2021년", "승인했다>승인하지 않았다|승인했다>거부했다", "지붕 공사비 40,000유로를 시의회는 2022년 3월 12일 승인했다."},
	{"열람실은 매주 화요일 오후 9시까지 문을 연다.", "9시>8시|9시>10시", "", "화요일>목요일|화요일>일요일", "연다>열지 않는다|연다>닫는다", "매주 화요일 열람실은 오후 9시까지 문을 연다."},
}, {
	{"다리의 길이는 1,280미터이고 하루 62,000대가 지나간다.", "1,280>1,820|62,000>26,000|62,000>620,000", "", "", "지나간다>지나가지 않는다|지나간다>지나가지 못한다", "하루 62,000대가 지나가는 다리의 길이는 1280미터이다."},
	{"박지훈 교수는 2024년 1월 7일 제네바에서 상금 500만 원을 받았다.", "500만>50만|500만>5000만|500만 원>500만 달러", "박지훈>박지민|박지훈>최수민|제네바>취리히", "1월>2월|7일>17일|2024년>2014년", "받았다>받지 않았다|받았다>받지 못했다", "2024년 1월 7일 박지훈 교수는 제네바에서 상금 5,000,000원을 받았다."},
	{"박물관은 2020년 10월 1일부터 12세 미만 어린이에게 요금을 받지 않는다.", "12세>21세|12세>16세", "박물관>미술관", "10월>8월|1일부터>11일부터|2020년>2010년", "받지 않는다>받는다|않는다>못한다고 하지 않는다", "2020년 10월 1일부터 박물관은 12세 미만 어린이에게 요금을 받지 않는다."},
	{"실업률은 4.1퍼센트로 하락했으며 20년 만에 가장 낮다.", "4.1>1.4|20년>30년|4.1>41", "", "", "하락했으며>상승했으며|낮다>높다|하락했으며>하락하지 않았으며", "실업률은 20년 만에 가장 낮은 4.1%로 하락했다."},
	{"회원은 투표할 수 있지만 손님은 투표할 수 없다.", "", "", "", "투표할 수 없다>투표할 수 있다|있지만>없지만", "손님은 투표할 수 없지만 회원은 투표할 수 있다."},
	{"이 사업은 1999년 25억 원의 지원금으로 시작되었다.", "25억>52억|25억>250억|25억 원>25억 달러", "", "1999년>1989년|1999년>2000년", "시작되었다>시작되지 않았다|시작되었다>끝났다", "1999년 이 사업은 2,500,000,000원의 지원금으로 시작되었다."},
	{"세종병원 간호사는 주당 38시간 일하고 휴가는 30일이다.", "38시간>83시간|30일>13일|38시간>40시간", "세종병원>한빛병원", "", "일하고>일하지 않고", "주당 38시간 일하는 세종병원 간호사의 휴가는 30일이다."},
}}

// example is a claim of the set with what its source is.
type example struct {
	kind, claim string
	spans       []string
}

// examples makes the set. The seed only decides which passages stand beside the source's.
func examples() []example {
	random := rand.New(rand.NewPCG(5, 4))
	var texts []string
	for _, source := range made {
		var b []string
		for _, s := range source {
			b = append(b, s.text)
		}
		texts = append(texts, strings.Join(b, " "))
	}
	var all []example
	for i, source := range made {
		other := texts[(i+1+random.IntN(len(texts)-1))%len(texts)]
		spans := []string{texts[i], other}
		if random.IntN(2) == 0 {
			spans[0], spans[1] = spans[1], spans[0]
		}
		for k, s := range source {
			add := func(kind, claim string, spans ...string) { all = append(all, example{kind, claim, spans}) }
			add("verbatim", s.text, spans...)
			add("reworded", s.as, spans...)
			add("swapped", s.text, source[(k+1)%len(source)].text, source[(k+3)%len(source)].text)
			for kind, list := range map[string]string{"number": s.numbers, "name": s.names, "date": s.dates, "negation": s.denied} {
				for change := range strings.SplitSeq(list, "|") {
					old, new, ok := strings.Cut(change, ">")
					if claim := strings.Replace(s.text, old, new, 1); ok && claim != s.text {
						add(kind, claim, spans...)
						if kind != "negation" { // the same in other words
							if claim := strings.Replace(s.as, old, new, 1); claim != s.as {
								add(kind+", reworded", claim, spans...)
							}
						}
					}
				}
			}
		}
	}
	return all
}

// The figures of the made set. An error is found when its claim is not said to be supported, and an error of kind number,
// name, date or negation also says so by a hard verdict.
func TestMadeSet(t *testing.T) {
	type figure struct{ n, found, hard int }
	figures := map[string]*figure{}
	total := 0
	for _, e := range examples() {
		v := cite.Verify(e.claim, e.spans, cite.Options{})
		f := figures[e.kind]
		if f == nil {
			f = &figure{}
			figures[e.kind] = f
		}
		total++
		f.n++
		if v.Label != cite.Supported {
			f.found++
		}
		if v.Hard {
			f.hard++
		}
		right := e.kind == "verbatim" || e.kind == "reworded"
		if right == (v.Label != cite.Supported) || !right && e.kind != "swapped" && !v.Hard {
			t.Logf("%s: %s hard=%t %.2f %q %q", e.kind, v.Label, v.Hard, v.Score, e.claim, v.Reasons)
		}
	}
	invented := 0
	for i := range 60 { // ids that nobody handed out, between ones that were
		m := cite.Marks{Known: func(id string) bool { return id == "p1" || id == "p2" }}
		text := fmt.Sprintf("A sentence [p1, p%d]. Another one. [p%d]", 3+i, 100+i)
		got, marks := m.Feed(text)
		rest, more := m.Close()
		for _, k := range append(marks, more...) {
			invented += len(k.Rejected)
		}
		if got+rest != "A sentence. Another one." {
			t.Errorf("%q became %q", text, got+rest)
		}
	}
	total += 120
	for kind, least := range map[string]float64{"number": .95, "number, reworded": .95, "name": .95, "name, reworded": .95, "date": .95, "date, reworded": .95, "negation": .7, "swapped": .95} {
		f := figures[kind]
		share, hard := float64(f.found)/float64(f.n), float64(f.hard)/float64(f.n)
		t.Logf("%-17s %3d: %5.1f %% found, %5.1f %% by a hard verdict", kind, f.n, 100*share, 100*hard)
		if share < least {
			t.Errorf("%s: %.3f of %d found, want %.2f", kind, share, f.n, least)
		}
	}
	t.Logf("invented ids 120: %.1f %%", float64(invented)/1.2)
	if invented != 120 {
		t.Errorf("%d of 120 invented ids were rejected", invented)
	}
	v, r := figures["verbatim"], figures["reworded"]
	t.Logf("false alarms: verbatim %d of %d, reworded %d of %d (by a hard verdict %d)", v.found, v.n, r.found, r.n, r.hard)
	if float64(v.found) > .01*float64(v.n) {
		t.Errorf("%d false alarms on %d verbatim sentences", v.found, v.n)
	}
	if float64(r.found) > .15*float64(r.n) {
		t.Errorf("%d of %d reworded sentences are not supported", r.found, r.n)
	}
	if total < 300 {
		t.Errorf("the set has %d sentences only", total)
	}
	t.Logf("%d sentences", total)
}

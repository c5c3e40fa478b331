package agent

// labels are the words of the post that are the writer's own.
type labels struct {
	box, points, gaps, superseded, sources string
	overview, suggested, pages             string
	marked, older, replaced, silent        string // marked has a place for the word, older for the source
}

var (
	english = labels{
		box:    "**Extracted, not rewritten:** every sentence below stands word for word in its source.",
		points: "Key points", gaps: "Not covered by your sources", superseded: "Superseded sources", sources: "Sources",
		overview: "Overview", suggested: "suggested heading", pages: "p.",
		marked: "marked as %s; not quoted", older: "replaced by %s; not quoted", replaced: "not quoted", silent: "read, not quoted",
	}
	korean = labels{
		box:    "**새로 쓰지 않고 발췌한 글입니다.** 아래의 모든 문장은 출처에 적힌 그대로입니다.",
		points: "핵심 내용", gaps: "자료에 없는 내용", superseded: "대체된 자료", sources: "출처",
		overview: "개요", suggested: "제안된 제목", pages: "쪽:",
		marked: "‘%s’ 표시가 있어 인용하지 않음", older: "%s 자료로 대체되어 인용하지 않음", replaced: "인용하지 않음", silent: "읽었으나 인용하지 않음",
	}
)

// labelsFor gives those of the wished language, else of the sources'.
func labelsFor(wished, sources string) labels {
	lang := base(wished)
	if lang == "" {
		lang = sources
	}
	if lang == "ko" {
		return korean
	}
	return english
}

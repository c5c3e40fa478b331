package agent

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"byline/internal/engine/lexical"
	"byline/internal/fault"
	"byline/internal/llm"
	"byline/internal/runs"
	"byline/internal/session"
)

// The intents of messages; commands of a session have the same names.
const (
	intentChat     = "chat"
	intentQuestion = "question"
	intentEdit     = "edit"
	intentDraft    = "draft"
	intentWeb      = "web"
	intentDecide   = "decide"
	intentUndo     = "undo"
	intentRedo     = "redo"
)

// routed is a model's answer to route.md.
type routed struct {
	Intent  string `json:"intent"`
	Request string `json:"request"`
	Title   string `json:"title"`
	Words   int    `json:"words"`
}

var routeSchema = &llm.Schema{Name: "route", JSON: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["intent","request","title","words"],"properties":{"intent":{"type":"string","enum":["chat","question","edit","draft","web","undo","redo"]},"request":{"type":"string"},"title":{"type":"string"},"words":{"type":"integer"}}}`)}

// doRoute is the node that says what a message asks for. What somebody pressed, or said with a command, is done and not guessed at.
func (t *talking) doRoute(ctx context.Context) (string, []runs.NewEvent, error) {
	t.talk.Request = strings.TrimSpace(t.message().Content)
	t.talk.Words = wordsAsked(t.talk.Request)
	if a := t.press(); a != nil {
		return t.pressed(a.Name)
	}
	switch {
	case saysUndo.MatchString(t.talk.Request): // plain enough for no model to be asked
		return t.to(intentUndo)
	case saysRedo.MatchString(t.talk.Request):
		return t.to(intentRedo)
	case t.wish.Selection != nil:
		return t.to(intentEdit)
	case t.goesOn():
		return t.to(intentDraft)
	}
	if t.model == nil {
		return t.to(t.guess())
	}
	r, err := t.askRoute(ctx)
	if err != nil {
		return "", nil, err
	}
	if r.Request = strings.TrimSpace(r.Request); r.Request != "" {
		t.talk.Request = clip(r.Request, longQuestion)
	}
	t.talk.Title = line(r.Title)
	if t.talk.Words == 0 { // a length that the message names in figures is kept, whatever the model makes of it
		t.talk.Words = min(max(r.Words, 0), 20_000)
	}
	return t.to(r.Intent)
}

// press is the button or the command that a message is of. Whoever says what stands on a button of the answer before means it.
func (t *talking) press() *session.Press {
	if t.wish.Action != nil || len(t.history) < 2 {
		return t.wish.Action
	}
	said := strings.TrimFunc(t.message().Content, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) })
	for _, a := range t.history[len(t.history)-2].Actions {
		if strings.EqualFold(said, a.Label) || strings.EqualFold(said, a.Name) {
			return &session.Press{Name: a.Name, ActionID: a.ID, MessageID: t.history[len(t.history)-2].ID, Data: a.Data}
		}
	}
	return nil
}

// pressed is where a button or a command leads.
func (t *talking) pressed(name string) (string, []runs.NewEvent, error) {
	switch name {
	case "ask":
		return t.to(intentQuestion)
	case actionAccept, actionReject:
		return t.to(intentDecide)
	case intentChat, intentEdit, intentDraft, intentWeb, intentUndo, intentRedo:
		return t.to(name)
	}
	return "", nil, fault.New(fault.Invalid, "unknown_action", "This button does nothing that Byline knows: %q.", name)
}

// to goes to the node of an intent.
func (t *talking) to(intent string) (string, []runs.NewEvent, error) {
	t.talk.Intent = intent
	switch intent {
	case intentEdit:
		return nodeEdit, nil, nil
	case intentDraft:
		return nodeTopic, nil, nil
	case intentDecide:
		return nodeDecide, nil, nil
	case intentUndo, intentRedo:
		return nodeWalk, nil, nil
	case intentChat:
		return nodeChat, nil, nil
	case intentWeb:
		t.talk.Web = true
	}
	return nodeAnswer, nil, nil
}

// routeData fills route.md in: what can be asked for.
type routeData struct{ Draft, Web bool }

func (t *talking) routeRequest(turns turnsData) (llm.Request, error) {
	return ask("route", "route", routeData{t.draftID() != "", t.writer.Web != nil && WebAllowed(t.job.Run().Input)}, "turns", turns)
}

// askRoute has the model decide. An answer that can't be read counts as a question.
func (t *talking) askRoute(ctx context.Context) (routed, error) {
	turns, err := t.turns(ctx)
	if err != nil {
		return routed{}, err
	}
	q, err := t.routeRequest(turns)
	if err != nil {
		return routed{}, err
	}
	q.Schema = routeSchema
	a, err := t.call(ctx, "route/1", q, nil)
	if err != nil {
		return routed{}, err
	}
	r := routed{}
	if jsonOf(a.Text, &r) != nil {
		return routed{Intent: intentQuestion}, nil
	}
	switch {
	case r.Intent == intentEdit && t.draftID() == "":
		r.Intent = intentDraft
	case !slices.Contains([]string{intentChat, intentEdit, intentDraft, intentWeb, intentUndo, intentRedo}, r.Intent):
		r.Intent = intentQuestion
	}
	return r, nil
}

var (
	saysLength = regexp.MustCompile(`(?i)\b(\d{1,2}[,.\x{00a0}\x{202f}’' ]\d{3}|\d{2,5})[ -]?(?:words?\b|단어)`)
	saysDraft  = regexp.MustCompile(`(?i)^\W*(?:please |can you |could you |now )?(?:write|draft|compose|generate|create|make)\b.{0,40}\b(?:post|article|draft|blog|report|story|text|piece|summary)\b|(?:글|포스트|기사|초안|보고서)[을를]?\s*(?:\S+\s*)?(?:써|작성|만들)`)
	saysEdit   = regexp.MustCompile(`(?i)^\W*(?:please |can you |could you |now )?(?:shorten|lengthen|drop|remove|delete|cut|replace|rename|move|reorder|swap|add|change|rewrite|make (?:it|this|that)|expand|shorter|longer)\b|(?:줄여|늘려|빼|삭제|지워|바꿔|바꾸|옮겨|추가|고쳐|수정|짧게|길게)`)
	saysIt     = regexp.MustCompile(`(?i)\b(?:it|this|that|sections?|paragraphs?|sentences?|headings?|title|table|draft|post)\b|절|문단|문장|제목|초안`)
	saysWeb    = regexp.MustCompile(`(?i)\b(?:search|look(?: it)? up|google|find)\b.{0,30}\b(?:web|internet|online)\b|웹에서|인터넷에서`)
	saysUndo   = regexp.MustCompile(`(?i)^[\s\pP]*(?:(?:please|no|oops|sorry|wait|can you|could you)[\s\pP]+)*(?:` +
		`(?:undo|revert|roll back|take back)(?: (?:that|this|it|` + theChange + `))?|(?:take|roll|put) (?:that|this|it|` + theChange + `) back)(?: again)?(?:,? please)?[\s\pP]*$|` +
		`^[\s\pP]*(?:(?:방금|마지막|그|이)\s*)*(?:(?:한|바꾼)\s*)?(?:(?:거|것|변경|수정)(?:을|를)?\s*)?(?:되돌려|되돌리기|실행\s*취소|원래대로\s*(?:돌려|해))\s*(?:줘|줘요|주세요|줄래|줄래요)?[\s\pP]*$`)
	saysRedo  = regexp.MustCompile(`(?i)^[\s\pP]*(?:please[\s\pP]+)?redo(?: (?:that|this|it|` + theChange + `))?(?:,? please)?[\s\pP]*$|^[\s\pP]*(?:다시\s*(?:실행|적용)(?:해)?)\s*(?:줘|주세요)?[\s\pP]*$`)
	saysHello = regexp.MustCompile(`(?i)^\W*(?:hi|hello|hey|good (?:morning|evening|afternoon)|thanks?(?: you)?|thank you|ok(?:ay)?|great|bye|what can you do|who are you|help|안녕\S*|고마\S*|감사\S*|도움말)\W*$`)
)

// theChange is the last change in words.
const theChange = `(?:the|your|my)(?: last| latest| previous)? (?:change|edit|one)s?|(?:last|latest|previous) (?:change|edit)|what you (?:just )?did`

// wordsAsked is the length that a message names in figures ("1,500 words"), 0 for none.
func wordsAsked(message string) int {
	m := saysLength.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	return figure(m[1])
}

// figure reads a number whose thousands may be set apart; 0 when it is longer than any text.
func figure(s string) int {
	n, err := strconv.Atoi(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s))
	if err != nil || n > 20_000 {
		return 0
	}
	return n
}

// guess says without a model what a message asks for, by its words.
func (t *talking) guess() string {
	m := t.talk.Request
	switch {
	case saysHello.MatchString(m):
		return intentChat
	case saysDraft.MatchString(m):
		return intentDraft
	case saysWeb.MatchString(m):
		return intentWeb
	case saysEdit.MatchString(m) && !strings.HasSuffix(m, "?") && (t.draftID() != "" || saysIt.MatchString(m)):
		return intentEdit // without a draft it says that there is none
	}
	return intentQuestion
}

// sayings are the sentences of the writer's own in a conversation.
type sayings struct {
	chat, noDraft, notYet, nothing, proposed, accept, reject, accepted, rejected, noDocuments, writing, tasks string
	askTopic, askFile, askOther, without                                                                      string
	undone, redone, nothingUndone, nothingRedone                                                              string
}

var (
	englishSayings = sayings{
		chat:     "No language model is set up, so I can't chat. I can answer questions in the words of your documents, write a post from them by quoting, and change a draft in simple ways: shorten it, drop or reorder sections, replace a phrase.",
		noDraft:  "There is no draft to change yet. Name one, or ask me to write a post.",
		nothing:  "There is nothing to change.",
		notYet:   "The draft is still being written. Ask again when it is there.",
		proposed: "I propose %d change(s) to “%s”. Look at them and take what you like.",
		accept:   "Accept all", reject: "Reject",
		accepted:      "Done: that is version %d.",
		rejected:      "Left as it was.",
		noDocuments:   "I find no documents that speak of this to write from. Add some, or name them with the message.",
		writing:       "I am writing a post from %d document(s). You can read along.",
		tasks:         "The sections of the post",
		askTopic:      "What should the post be about?",
		askFile:       "I find no document that speaks of this to write from. Which file shall I use?",
		askOther:      "That file has no text that could be read. Which other one shall I use?",
		without:       "Go on without a file",
		undone:        "Taken back: “%s” reads as in version %d again, which is version %d now. “Redo” brings the change back.",
		redone:        "Done again: “%s” reads as in version %d, which is version %d now.",
		nothingUndone: "There is nothing to take back.",
		nothingRedone: "There is nothing to do again.",
	}
	koreanSayings = sayings{
		chat:     "언어 모델이 설정되어 있지 않아 대화는 할 수 없습니다. 문서의 문장으로 질문에 답하고, 인용으로 글을 쓰고, 초안을 간단히 고칠 수 있습니다: 줄이기, 절 빼기나 순서 바꾸기, 표현 바꾸기.",
		noDraft:  "아직 고칠 초안이 없습니다. 초안을 지정하거나 글을 써 달라고 요청하세요.",
		nothing:  "바꿀 것이 없습니다.",
		notYet:   "초안을 아직 쓰고 있습니다. 다 쓰면 다시 말씀해 주세요.",
		proposed: "변경 %d건을 제안합니다(“%s”). 살펴보고 원하는 것만 받아들이세요.",
		accept:   "모두 받아들이기", reject: "거절",
		accepted:      "반영했습니다: 버전 %d.",
		rejected:      "그대로 두었습니다.",
		noDocuments:   "이 주제로 글을 쓸 문서를 찾지 못했습니다. 문서를 추가하거나 메시지와 함께 지정하세요.",
		writing:       "문서 %d건으로 글을 쓰고 있습니다. 쓰는 동안 읽을 수 있습니다.",
		tasks:         "글의 절",
		askTopic:      "무엇에 대한 글을 쓸까요?",
		askFile:       "이 주제로 글을 쓸 문서를 찾지 못했습니다. 어떤 파일로 쓸까요?",
		askOther:      "그 파일에는 읽을 수 있는 글이 없습니다. 다른 어떤 파일로 쓸까요?",
		without:       "파일 없이 계속하기",
		undone:        "되돌렸습니다: “%s”이(가) 다시 버전 %d의 글이 되었고, 지금은 버전 %d입니다. “다시 실행”으로 변경을 되살릴 수 있습니다.",
		redone:        "다시 실행했습니다: “%s”이(가) 버전 %d의 글이 되었고, 지금은 버전 %d입니다.",
		nothingUndone: "되돌릴 것이 없습니다.",
		nothingRedone: "다시 실행할 것이 없습니다.",
	}
)

// words are the sayings in the session's language, else in that of the message.
func (t *talking) words() sayings {
	lang := base(t.wish.Settings.Language)
	if lang == "" {
		lang = lexical.DetectLanguage(t.message().Content)
	}
	if lang == "ko" {
		return koreanSayings
	}
	return englishSayings
}

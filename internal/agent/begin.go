package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"byline/internal/draft"
	"byline/internal/fault"
	"byline/internal/ident"
	"byline/internal/runs"
	"byline/internal/search"
)

// How a conversation begins a post. What it is about, and what it is written from, is asked for where nothing tells.

// idle are words that say nothing of what a post is about.
var idle = wordSet(`please can could would you now just i we want need like to have do write draft compose generate create make begin start me us a an the another one some
	my our new short long brief quick little blog nice good great post posts article report story text piece summary something anything of in with about for on words word long
	글 글을 글좀 글을좀 포스트 포스트를 블로그 기사 기사를 초안 초안을 보고서 보고서를 하나 한 편 한편 편을 새 새로운 짧은 긴 좀 써 써줘 써주세요 써줄래 쓰기 줘 주세요 줄래 줄래요
	작성 작성해 작성해줘 작성해주세요 만들어 만들어줘 만들어주세요 해 해줘 해주세요 부탁해 부탁해요 부탁합니다 단어 단어로 로 짜리 정도 정도로`)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// topicless tells that a request names nothing to write about.
func topicless(request string) bool {
	words := strings.FieldsFunc(strings.ToLower(saysLength.ReplaceAllString(request, " ")), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return !slices.ContainsFunc(words, func(w string) bool { return !idle[w] })
}

// doTopic is the node that asks what a new post is to be about, where neither words nor documents tell.
func (t *talking) doTopic(ctx context.Context) (string, []runs.NewEvent, error) {
	first := len(t.history) == 1 && topicless(t.message().Content) // a model has nothing to know more from
	if t.talk.Topic != "" || t.talk.Title != "" || len(t.documents()) > 0 || !first && !topicless(t.talk.Request) {
		return nodeDraft, nil, nil
	}
	words := t.words()
	reply, err := t.job.Ask(ctx, runs.Question{Key: t.prefix + "ask/topic", Kind: runs.AskText, Text: words.askTopic, ExpiresAt: time.Now().Add(t.writer.Patience), Yields: true})
	if err != nil {
		return "", nil, err
	}
	var topic string
	if reply.Expired || json.Unmarshal(reply.Value, &topic) != nil {
		return nodeFinish, nil, t.say(ctx, "%s", words.askTopic) // a message can answer it as well
	}
	t.talk.Topic = strings.TrimSpace(topic)
	t.talk.Request += "\n\n" + t.talk.Topic
	if t.talk.Words == 0 {
		t.talk.Words = wordsAsked(t.talk.Topic)
	}
	return nodeDraft, nil, nil
}

var saysNo = regexp.MustCompile(`(?i)^[\s\pP]*(?:no|nothing|never ?mind|forget (?:it|that)|cancel|stop|leave it|아니\S*|됐\S*|취소\S*|그만\S*)(?:[\s\pP]|$)`)

// goesOn tells whether a message gives what the answer before it asked for, and makes the request that it completes.
func (t *talking) goesOn() bool {
	n, said := len(t.history), t.talk.Request
	if n < 3 || strings.HasSuffix(said, "?") || saysHello.MatchString(said) || saysNo.MatchString(said) || saysDraft.MatchString(said) {
		return false
	}
	wish := t.history[n-3].Content
	switch t.history[n-2].Content {
	case englishSayings.askTopic, koreanSayings.askTopic:
		if t.model != nil { // which reads the conversation, and knows better what the message is
			return false
		}
		t.talk.Topic = said
	case englishSayings.noDocuments, koreanSayings.noDocuments:
		if len(t.wish.DocumentIDs) == 0 {
			return false
		}
	default:
		return false
	}
	t.talk.Request = wish + "\n\n" + said
	if t.talk.Words == 0 {
		t.talk.Words = wordsAsked(wish)
	}
	return true
}

// The bounds of what a draft is written from when nobody names its sources.
const (
	mostSources = 8
	// nearSource is the score of a source's best passage from which on it is about what is asked for, far though a request for a post is
	// from a question that the passage answers.
	nearSource = .15
	mostAsked  = 3 // times for a file, while the files that come can't be read
)

// without is the answer to a question for a file that there is none.
const without = "without"

// sources are the documents that a draft is written from: those of the conversation, else those of the workspace that speak of what is
// asked for, else pages of the web where that is allowed, else a file that a person is asked for. None: there are none.
func (t *talking) sources(ctx context.Context) (ids []string, events []runs.NewEvent, err error) {
	err = t.Once(ctx, "draft/sources", &ids, func(ctx context.Context) (events []runs.NewEvent, err error) {
		if ids = t.documents(); len(ids) == 0 {
			ids, events, err = t.nearest(ctx)
		}
		return events, err
	})
	if err == nil {
		ids, err = t.readable(ctx, "documents", ids)
	}
	if err == nil && len(ids) == 0 && t.web() {
		ids, events, err = t.pages(ctx)
	}
	for n := 1; err == nil && len(ids) == 0 && n <= mostAsked; n++ {
		var file string
		if file, err = t.askFile(ctx, n); err != nil || file == "" {
			break
		}
		ids, err = t.readable(ctx, fmt.Sprintf("documents/%d", n), []string{file})
	}
	return ids, events, err
}

func (t *talking) web() bool { return t.wish.Settings.Web || t.talk.Web }

// nearest searches the workspace for documents that speak of what is asked for.
func (t *talking) nearest(ctx context.Context) (ids []string, events []runs.NewEvent, err error) {
	about := t.talk.Request
	if t.talk.Topic != "" {
		about = t.talk.Topic
	}
	found, err := t.writer.Searcher.Search(ctx, search.Question{Workspace: t.job.Run().Workspace, Text: clip(about, longQuestion), TopK: 4 * mostSources})
	if err != nil {
		return nil, nil, fmt.Errorf("search sources: %w", err)
	}
	h := hits{Query: about, Hits: []hit{}}
	for _, x := range found.Hits {
		p := x.Passage
		if x.Score >= max(nearSource, found.Hits[0].Score/2) && len(ids) < mostSources && !slices.Contains(ids, p.DocumentID) {
			ids = append(ids, p.DocumentID)
			h.Hits = append(h.Hits, hit{p.ID, p.DocumentID, x.DocumentName, p.PageFrom, x.Score})
		}
	}
	return ids, []runs.NewEvent{{Type: runs.EventHits, Data: h}}, nil
}

// readable waits until documents are read, and gives those that have a text.
func (t *talking) readable(ctx context.Context, key string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := t.awaitDocuments(ctx, key, ids); err != nil {
		return nil, err
	}
	docs, err := t.writer.Documents.Named(ctx, t.job.Run().Workspace, ids)
	if err != nil {
		return nil, fmt.Errorf("name sources: %w", err)
	}
	var list []string
	for _, d := range docs {
		if d.Generation > 0 {
			list = append(list, d.ID)
		}
	}
	return list, nil
}

// pages looks on the web, with the words of people only: what a model makes of them may come from a source.
func (t *talking) pages(ctx context.Context) (ids []string, events []runs.NewEvent, err error) {
	query := t.message().Content
	if t.talk.Topic != "" {
		query = t.talk.Topic
	}
	docs, said, err := t.writer.Web.Gather(ctx, t.job, []string{clip(query, longQuery)}, webPages)
	for _, s := range said {
		events = append(events, notice("web", "%s", s))
	}
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	return ids, events, err
}

// askFile asks for a file to write from; empty: somebody wants to go on without one, or nobody answers.
func (t *talking) askFile(ctx context.Context, n int) (string, error) {
	words := t.words()
	text := words.askFile
	if n > 1 {
		text = words.askOther
	}
	reply, err := t.job.Ask(ctx, runs.Question{Key: fmt.Sprintf("%sask/source/%d", t.prefix, n), Kind: runs.AskFile, Text: text,
		Choices: []runs.Choice{{Value: without, Label: words.without}}, ExpiresAt: time.Now().Add(t.writer.Patience), Yields: true})
	if err != nil {
		return "", err
	}
	var file string
	if reply.Expired || json.Unmarshal(reply.Value, &file) != nil || file == without {
		return "", nil
	}
	return file, nil
}

// doDraft is the node that begins a new draft. Its own run writes it; its events stand in the session's log.
func (t *talking) doDraft(ctx context.Context) (string, []runs.NewEvent, error) {
	words := t.words()
	ids, events, err := t.sources(ctx)
	if err != nil {
		return "", nil, err
	}
	if len(ids) == 0 {
		return nodeFinish, events, t.say(ctx, "%s", words.noDocuments)
	}
	s := t.wish.Settings
	wish := draft.Wish{
		DocumentIDs: ids, SessionID: t.wish.SessionID, Title: t.talk.Title, Instructions: t.talk.Request, Author: t.wish.Author, Provider: t.wish.Provider, Model: t.wish.Model,
		Brief: draft.Brief{Words: t.talk.Words, Language: s.Language, Tone: s.Tone, Audience: s.Audience, Must: s.Must, MustNot: s.MustNot, Web: t.web()},
	}
	if t.model == nil {
		wish.Provider, wish.Model = offline, ""
	}
	d, r, err := t.writer.Drafting.Generate(ctx, t.job.Run().Workspace, wish, nil, nil, &ident.Once{Key: "chat " + t.job.Run().ID, Fingerprint: t.job.Run().ID})
	if f := fault.Of(err); f != nil && (f.Kind == fault.Conflict || f.Kind == fault.NotFound || f.Kind == fault.Invalid) {
		return nodeFinish, events, t.say(ctx, "%s", f.Say)
	}
	if err != nil {
		return "", nil, err
	}
	t.talk.DraftID = d.ID
	t.talk.Result = &Talked{RunID: r.ID}
	return nodeFinish, events, t.say(ctx, words.writing, len(ids))
}

package agent

import (
	"encoding/json"
	"strings"

	"byline/internal/runs"
)

// Task is a section of a post that is being written, for whoever waits for it.
type Task struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Status string `json:"status"` // ready, running, done, failed
}

// The states of tasks.
const (
	TaskReady   = "ready"
	TaskRunning = "running"
	TaskDone    = "done"
	TaskFailed  = "failed"
)

// Tasks makes a list of the plan of a run that writes a post, and of how far it has come with that; log is its log without tokens. Before
// the plan it is empty.
func Tasks(log []runs.Event, status runs.Status) []Task {
	tasks := []Task{}
	set := func(id, from, to string) {
		for i := range tasks {
			if tasks[i].ID == id && (from == "" || tasks[i].Status == from) {
				tasks[i].Status = to
			}
		}
	}
	for _, e := range log {
		switch e.Type {
		case runs.EventPlan: // a later one takes the place of an earlier one
			var p planned
			if json.Unmarshal(e.Data, &p) != nil {
				continue
			}
			tasks = tasks[:0]
			for _, s := range p.Sections {
				tasks = append(tasks, Task{s.ID, s.Title, TaskReady})
			}
		case runs.EventSection:
			var s sectionStarted
			if json.Unmarshal(e.Data, &s) == nil {
				set(s.SectionID, TaskReady, TaskRunning)
			}
		case runs.EventStepCompleted: // the text of a section stands where its readers see it
			if _, shown, ok := strings.Cut("/"+stepOf(e), "/"+runs.ShowPrefix); ok {
				id, _, _ := strings.Cut(shown, "#")
				set(id, "", TaskDone)
			}
		}
	}
	for i := range tasks {
		switch {
		case status == runs.Completed:
			tasks[i].Status = TaskDone
		case status.Terminal() && tasks[i].Status != TaskDone:
			tasks[i].Status = TaskFailed
		}
	}
	return tasks
}

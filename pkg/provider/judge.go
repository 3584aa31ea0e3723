package provider

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"fanfare/pkg/callback"
)

// question is what was asked, and how the answer has to be read.
type question struct {
	contract *callback.Contract
	details  callback.Details
	id       callback.TaskID
	verdicts verdicts
}

// envelope is what every answer has. Members that have another type than
// expected read as if they were absent.
type envelope struct {
	Code    scalar          `json:"code"`
	Message callback.String `json:"msg"`
	Data    jsontext.Value  `json:"data"`
}

// task is an envelope's data.
type task struct {
	TaskID      callback.String `json:"taskId"`
	TaskIDSnake callback.String `json:"task_id"`
	Status      scalar          `json:"status"`
	SuccessFlag scalar          `json:"successFlag"`
	Response    jsontext.Value  `json:"response"`
	ErrorCode   scalar          `json:"errorCode"` // null and a success code both mean none
	Message     callback.String `json:"errorMessage"`
}

// judge finds the outcome. Errors come as HTTP statuses, and as codes under the
// status 200.
func (q question) judge(r reply) Answer {
	a := Answer{Outcome: r.outcome, Code: int32(r.status), Wait: r.wait, Detail: r.detail} //nolint:gosec // three digits
	if r.status == 0 || r.outcome != "" && r.status == http.StatusOK {
		return a
	}
	var e envelope
	err := json.Unmarshal(r.body, &e)
	code, coded := e.Code.integer()
	if r.status != http.StatusOK {
		if err == nil && coded && !q.contract.Succeeded(code) {
			a.Code = code
		}
		return a.is(q.verdicts.of(a.Code), "the provider answers with this code")
	}
	if err != nil {
		return a.is(Unusable, "the answer is not one strict JSON object")
	}
	if !coded {
		return a.is(Unusable, "the answer has no code")
	}
	a.Code = code
	if !q.contract.Succeeded(code) {
		return a.is(q.verdicts.of(code), "the provider answers with this code")
	}
	return q.judgeData(a, e)
}

// judgeData reads the data of an answer whose code is a success.
func (q question) judgeData(a Answer, e envelope) Answer {
	if nothing(e.Data) {
		return a.is(UnknownTask, "the answer has no data")
	}
	var t task
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return a.is(Unusable, "the answer's data is no object")
	}
	id := cmp.Or(t.TaskID, t.TaskIDSnake)
	if callback.TaskID(id) != q.id || t.TaskIDSnake != "" && t.TaskIDSnake != id {
		return a.is(Unusable, "the answer is of another task, or does not say of which")
	}
	found, err := q.result(t.Response)
	if err != nil {
		return a.is(Unusable, err.Error())
	}
	return q.judgeTask(a, t, string(e.Message), found)
}

// judgeTask looks for an error's code first, for it also comes with a status of
// PENDING. A task that the provider could not report is another matter: the code
// may be that of the report, and the task may have succeeded, or be at work on what
// is there in part.
func (q question) judgeTask(a Answer, t task, message string, found result) Answer {
	s := standingOf(t.Status, t.SuccessFlag)
	if s.unheard && len(found.items) > 0 {
		if !q.whole(a.Code, found) {
			return a.is(Running, "")
		}
		return q.answer(a, message, callback.Complete, found)
	}
	if code, ok := t.ErrorCode.integer(); ok && code != 0 && !q.contract.Succeeded(code) {
		return q.failed(a, t, code)
	}
	switch {
	case s.stage == callback.Error:
		return q.failed(a, t, s.code)
	case s.stage == "" || s.unheard:
		return a.is(Running, "")
	default:
		return q.answer(a, message, s.stage, found)
	}
}

// whole reports whether every item of what was found would be a result by itself.
func (q question) whole(code int32, found result) bool {
	return !slices.ContainsFunc(found.items, func(item jsontext.Value) bool {
		_, err := q.callback(code, "", callback.Complete, result{found.list, []jsontext.Value{item}})
		return err != nil
	})
}

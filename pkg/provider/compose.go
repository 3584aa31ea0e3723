package provider

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"fanfare/pkg/callback"
)

// maxMessageBytes bounds a callback's text for people.
const maxMessageBytes = 4 << 10

// Reasons why a callback cannot be made, beside those of [callback.Invalid]. They
// hold nothing of the answer.
var (
	errStage    = errors.New("the type has no such stage")
	errEncoding = errors.New("the callback cannot be encoded")
	errSize     = errors.New("the callback would be too large")
)

// answer is that of a task which has reached the stage with what was found. The
// callback has the code of the answer, a success.
func (q question) answer(a Answer, message string, stage callback.Stage, found result) Answer {
	cb, err := q.callback(a.Code, message, stage, found)
	var invalid *callback.Invalid
	switch {
	case err == nil && stage.Final():
		a.Callback = cb
		return a.is(Final, "")
	case err == nil:
		a.Callback = cb
		return a.is(Progress, "")
	case errors.As(err, &invalid):
		err = errors.New(invalid.Message)
	}
	if stage.Final() {
		return a.is(Incomplete, "success without its result: "+err.Error())
	}
	return a.is(Running, "progress without its result: "+err.Error())
}

// failed is the answer of a task that failed with the code.
func (q question) failed(a Answer, t task, code int32) Answer {
	message := cmp.Or(string(t.Message), "task details: "+string(cmp.Or(t.Status, t.SuccessFlag, "failed")))
	cb, err := q.callback(code, message, callback.Error, result{})
	if err != nil {
		return a.is(Unusable, "failure without a callback: "+err.Error())
	}
	a.Callback = cb
	return a.is(Final, "")
}

// callback makes the callback that the provider would have sent. Equal facts make
// equal bytes: the names stand in alphabetical order.
func (q question) callback(code int32, message string, stage callback.Stage, found result) (callback.Callback, error) {
	if !slices.Contains(q.contract.Stages(), stage) {
		return callback.Callback{}, errStage
	}
	data := map[string]any{"task_id": q.id, q.details.Result.To: found.encode()}
	if q.contract.NamesStages() {
		data["callbackType"] = stage
	}
	body, err := json.Marshal(map[string]any{"code": code, "msg": cut(message), "data": data}, json.Deterministic(true))
	if err != nil {
		return callback.Callback{}, errEncoding
	}
	if len(body) > maxBodyBytes {
		return callback.Callback{}, errSize
	}
	cb, err := q.contract.Decode(body)
	if err != nil {
		return callback.Callback{}, err
	}
	if cb.TaskID != q.id || cb.Stage != stage {
		return callback.Callback{}, errStage
	}
	cb.Polled = true
	return cb, nil
}

func cut(message string) string {
	if len(message) <= maxMessageBytes {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessageBytes], "")
}

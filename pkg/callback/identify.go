package callback

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Identified is a body that is strict JSON and has a task ID: as much as a
// signature can be checked against, and no more.
type Identified struct {
	TaskID   TaskID
	body     []byte
	document map[string]any
	data     map[string]any
}

// Identify reads the body of a request as far as its task ID, which stands in
// data.task_id, in data.taskId, or the same in both. Any other body is an
// [*Invalid] error. The body must not be changed afterwards.
func (c *Contract) Identify(body []byte) (Identified, error) {
	decoder, _ := c.decoders.Get().(*jsontext.Decoder)
	defer c.decoders.Put(decoder)
	document, err := parseObject(decoder, body, c.members)
	if err != nil {
		return Identified{}, err
	}
	data, ok := document["data"].(map[string]any)
	if !ok {
		return Identified{}, &Invalid{ReasonTaskID, "data is not an object, so there is no task ID"}
	}
	id, err := taskID(data["task_id"], data["taskId"])
	if err != nil {
		return Identified{}, err
	}
	return Identified{TaskID: id, body: body, document: document, data: data}, nil
}

// taskID picks the task ID from its two places, either of which may be empty.
func taskID(places ...any) (TaskID, error) {
	var found string
	for _, value := range places {
		if nothing(value) {
			continue
		}
		s, ok := value.(string)
		if !ok {
			return "", &Invalid{ReasonTaskID, "the task ID is not a string"}
		}
		if found != "" && found != s {
			return "", &Invalid{ReasonTaskID, "data.task_id and data.taskId differ"}
		}
		found = s
	}
	if found == "" {
		return "", &Invalid{ReasonTaskID, "data has neither task_id nor taskId"}
	}
	return ParseTaskID(found)
}

// nothing reports whether value is one of the provider's ways to say that it
// has none: a missing member, null, "" or [].
func nothing(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	default:
		return false
	}
}

// Accept holds a body that the same contract identified against the contract and returns the callback
// it is, or an [*Invalid] error.
func (c *Contract) Accept(in Identified) (Callback, error) {
	if err := c.validate(in.document); err != nil {
		return Callback{}, err
	}
	code, _ := in.document["code"].(float64) // the schema has seen to its type and range
	message, _ := in.document["msg"].(string)
	stage, word := c.stage(int32(code), in.data["callbackType"])
	return Callback{
		Type:    c.Type,
		TaskID:  in.TaskID,
		Stage:   stage,
		Word:    word,
		Code:    int32(code),
		Message: message,
		Body:    in.body,
	}, nil
}

// stage derives the stage: a code that is no success is an error whatever else
// is said; then the provider's word counts, where the type has one; a success
// without a word is complete.
func (c *Contract) stage(code int32, callbackType any) (stage Stage, word string) {
	switch word, _ := callbackType.(string); {
	case !c.Succeeded(code):
		return Error, ""
	case len(c.facts.Stages) == 0 || word == "":
		return Complete, ""
	case slices.Contains(c.facts.Stages, Stage(word)):
		return Stage(word), ""
	default:
		return Other, word
	}
}

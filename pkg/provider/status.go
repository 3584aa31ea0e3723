package provider

import (
	"net/http"
	"strings"

	"fanfare/pkg/callback"
)

// standing is how far a task has got, as the provider's word for it says.
type standing struct {
	stage   callback.Stage // the stage that was reached; "": none that is known
	code    int32          // of an Error that has no code of its own
	unheard bool           // the provider could not call: the result may well be there
}

// standingOf reads data.status and data.successFlag: the first that says something
// counts, for which of them an answer has is not the same for all types. A word
// that nobody knows, such as one in another language, means that the task runs.
func standingOf(words ...scalar) standing {
	for _, word := range words {
		word, _, _ := strings.Cut(string(word), "-") // also SUCCESS-… has been seen
		if s := standingFor(word); s.stage != "" {
			return s
		}
	}
	return standing{}
}

// standingFor is the one table of words. Numbers are those of cover tasks, which
// also have 0 (waiting) and 2 (running).
func standingFor(word string) standing {
	switch word {
	case "TEXT_SUCCESS":
		return standing{stage: callback.Text}
	case "FIRST_SUCCESS":
		return standing{stage: callback.First}
	case "SUCCESS", "1":
		return standing{stage: callback.Complete}
	case "CALLBACK_EXCEPTION":
		return standing{stage: callback.Complete, unheard: true}
	case "SENSITIVE_WORD_ERROR":
		return standing{stage: callback.Error, code: http.StatusBadRequest}
	case "CREATE_TASK_FAILED", "FAILED", "3":
		return standing{stage: callback.Error, code: http.StatusInternalServerError}
	}
	if strings.HasPrefix(word, "GENERATE_") && strings.HasSuffix(word, "_FAILED") {
		return standing{stage: callback.Error, code: http.StatusInternalServerError}
	}
	return standing{}
}

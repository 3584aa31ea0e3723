package callback

import (
	"errors"
	"strings"
)

// Details says how the provider is asked for a task, and how the result in its
// answer becomes the result in a callback.
type Details struct {
	Path   string        `json:"path"` // of the endpoint, without a query
	Result DetailsResult `json:"result"`
}

// DetailsResult says which member of an answer's data.response is the result.
type DetailsResult struct {
	From  []string      `json:"from"`            // its names there: the first that has a value counts
	To    string        `json:"to"`              // its name in a callback's data
	Items *DetailsItems `json:"items,omitempty"` // of a result that is a list of objects, else nil
}

// DetailsItems says what becomes of the objects in a list.
type DetailsItems struct {
	Needs  []string          `json:"needs"`  // an object in which none of these has a value is a placeholder, and no item
	Rename map[string]string `json:"rename"` // members that are called otherwise in a callback; the others stay as they are
}

// Details returns how tasks of this type are asked for, and false if they cannot be.
func (c *Contract) Details() (Details, bool) {
	if c.facts.Details == nil {
		return Details{}, false
	}
	return *c.facts.Details, true
}

func (d *Details) validate() error {
	switch {
	case d == nil:
		return nil
	case !strings.HasPrefix(d.Path, "/") || strings.ContainsAny(d.Path, "?#%"):
		return errors.New("details.path is no absolute path")
	case len(d.Result.From) == 0 || d.Result.To == "":
		return errors.New("details.result lacks from or to")
	case d.Result.Items != nil && len(d.Result.Items.Needs) == 0:
		return errors.New("details.result.items lacks needs")
	}
	return nil
}

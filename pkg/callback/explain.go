package callback

import (
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// explain turns a schema's verdict into a sentence for the sender. It names
// members that the schema knows and never repeats a value.
func explain(err *jsonschema.ValidationError) string {
	for len(err.Causes) > 0 {
		if _, alternatives := err.ErrorKind.(*kind.AnyOf); alternatives {
			break
		}
		if _, contains := err.ErrorKind.(*kind.Contains); contains {
			break
		}
		err = err.Causes[0]
	}
	return place(err.InstanceLocation) + " " + complaint(err.ErrorKind)
}

func place(location []string) string {
	if len(location) == 0 {
		return "the body"
	}
	return strings.Join(location, ".")
}

func complaint(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Required:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.AnyOf, *kind.Contains, *kind.MinContains, *kind.MinLength, *kind.MinItems:
		return "lacks the result that this stage must carry"
	case *kind.Type:
		return "must be of type " + strings.Join(k.Want, " or ")
	case *kind.Format:
		if k.Want == "int32" {
			return "must be a 32-bit integer"
		}
		return "must be an absolute http or https URL with a host, without user info, white space, backslash or control character, of at most 4096 bytes"
	case *kind.MaxItems:
		return "has too many items"
	case *kind.MaxLength:
		return "is too long"
	case *kind.Pattern:
		return "has characters that are not allowed"
	default:
		return "is not what the schema asks for"
	}
}

package callback

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// String is a member that holds a string or one of the provider's ways to say that
// there is none (null, "" or []), which all read as "".
type String string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *String) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '"' {
		*s = ""
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, (*string)(s))
}

package provider

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// scalar is a member that holds a word or a number, as text. Integers are in
// decimal, however they were written; anything else reads as "".
type scalar string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *scalar) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '"':
		return json.UnmarshalDecode(dec, (*string)(s))
	case '0':
		var number float64
		err := json.UnmarshalDecode(dec, &number)
		*s = scalar(strconv.FormatFloat(number, 'f', -1, 64))
		return err
	default:
		*s = ""
		return dec.SkipValue()
	}
}

// integer returns the number, and false if it is none of 32 bits.
func (s scalar) integer() (int32, bool) {
	n, err := strconv.ParseInt(string(s), 10, 32)
	return int32(n), err == nil
}

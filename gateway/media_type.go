package gateway

import (
	"mime"
	"net/http"
	"strings"
)

// acceptable reports whether the headers announce a plain JSON body: exactly one
// Content-Type of application/json, in UTF-8 if it names a charset, and no
// Content-Encoding but identity.
func acceptable(h http.Header) bool {
	for _, encoding := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			return false
		}
	}
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return false
	}
	if strings.Contains(types[0], "*") || strings.Count(strings.ToLower(types[0]), "charset") > 1 {
		return false // continued, encoded or repeated parameters, which readers understand differently
	}
	mediaType, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || mediaType != "application/json" {
		return false
	}
	charset, named := parameters["charset"]
	return !named || strings.EqualFold(charset, "utf-8")
}
